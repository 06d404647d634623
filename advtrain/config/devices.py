"""What `--device` may name, and what this machine surely lacks. Imports no torch."""

from __future__ import annotations

import ctypes
import importlib.metadata
import re
import sys

from advtrain.errors import AdvtrainError

_FORM = re.compile(r"auto|cpu|mps|cuda(:(?P<index>[0-9]{1,3}))?")
_NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE


def check_device(wanted: str) -> None:
    """Raise AdvtrainError for a word that names no device, or a device that is not there.

    Where only torch can tell, nothing is raised: it has the last word when the run begins.
    """
    place = f"argument '--device {wanted}'"
    form = _FORM.fullmatch(wanted)
    if form is None:
        raise AdvtrainError(f"{place}: expected auto, cpu, cuda, cuda:N or mps")
    if wanted == "mps" and sys.platform != "darwin":
        raise AdvtrainError(f"{place}: this machine has no Apple GPU")
    if wanted.startswith("cuda"):
        count = _cuda_gpus()
        if count is not None and int(form["index"] or 0) >= count:
            raise AdvtrainError(f"{place}: this machine has {count} CUDA GPUs")


def _cuda_gpus() -> int | None:
    """How many GPUs the CUDA driver offers this process; None if it does not say."""
    if "rocm" in importlib.metadata.version("torch"):  # AMD's GPUs, which torch calls cuda
        return None
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    state, count = driver.cuInit(0), ctypes.c_int()
    if state == _NO_DEVICE:
        return 0
    return None if state or driver.cuDeviceGetCount(ctypes.byref(count)) else count.value
