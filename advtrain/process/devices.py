"""What `--device` may name, and what this machine surely lacks. Imports no torch."""

from __future__ import annotations

import ctypes.util
import importlib.metadata
import re
import sys

from advtrain.errors import AdvtrainError

_FORM = re.compile(r"auto|cpu|mps|cuda(:[0-9]{1,3})?")


def check_device(wanted: str) -> None:
    """Raise AdvtrainError for a word that names no device, or a device that cannot be there.

    How many GPUs a machine with NVIDIA's driver has, torch tells when the run begins.
    """
    place = f"argument '--device {wanted}'"
    if not _FORM.fullmatch(wanted):
        raise AdvtrainError(f"{place}: expected auto, cpu, cuda, cuda:N or mps")
    if wanted == "mps" and sys.platform != "darwin":
        raise AdvtrainError(f"{place}: this machine has no Apple GPU")
    if wanted.startswith("cuda") and not _has_driver():
        raise AdvtrainError(f"{place}: this machine has 0 CUDA GPUs")


def _has_driver() -> bool:
    """Whether the library of NVIDIA's driver is there, or torch calls AMD's GPUs cuda."""
    name = "nvcuda" if sys.platform == "win32" else "cuda"
    return "rocm" in importlib.metadata.version("torch") or bool(ctypes.util.find_library(name))
