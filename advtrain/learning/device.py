"""The device that a run computes on, set up so that equal runs give equal numbers."""

from __future__ import annotations

import ctypes
import os
import platform
import sys

import torch
from torch import nn

from advtrain.errors import AdvtrainError
from advtrain.learning.attacks.pgd import mode
from advtrain.process.devices import check_device
from advtrain.process.ranks import Place, place

_MMAP_MAX, _TRIM_THRESHOLD = -4, -1  # of malloc.h
_SMALL = 2e6  # floating-point operations of one image's forward pass


def choose_device(wanted: str) -> torch.device:
    """`auto` (CUDA, else Apple's MPS, else CPU), `cpu`, `cuda`, `cuda:N` or `mps`, if it is there.

    On CUDA, algorithms are made deterministic and fp32 means fp32, not TF32: that costs speed.
    Of several processes of a run each has the GPU of its number on its machine.
    """
    check_device(wanted)
    if place().size > 1:
        wanted = _own(wanted, place())
    if wanted == "auto":
        mps = torch.backends.mps.is_available()
        wanted = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    device = torch.device(wanted)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise AdvtrainError(f"argument '--device {wanted}': this machine has {count} CUDA GPUs")
        if place().size > 1:
            torch.cuda.set_device(device)  # where nccl, too, looks for it
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS needs it for the next
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise AdvtrainError(f"argument '--device {wanted}': this machine has no Apple GPU")
    return device


def _own(wanted: str, at: Place) -> str:
    """What the device of one process of several is called; AdvtrainError if they have none each."""
    argument = f"argument '--device {wanted}'"
    if wanted == "mps" or ":" in wanted:
        raise AdvtrainError(
            f"{argument}: one device cannot serve {at.size} processes; expected auto, cpu or cuda"
        )
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not count):
        return "cpu"
    if at.local_size > count:
        raise AdvtrainError(
            f"{argument}: this machine has {count} CUDA GPUs for its {at.local_size} processes"
        )
    return f"cuda:{at.local_rank}"


def device_name(device: torch.device) -> str:
    """What the device is called, for the record."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def keep_memory(device: torch.device) -> None:
    """Let the process keep what it frees, where it computes on the CPU and glibc allows it.

    It would otherwise return large activations to the system after each use and have them zeroed
    page by page in the next: up to a fifth of a large network's time.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if device.type == "cpu" and hasattr(libc, "mallopt"):
        assert libc is not None
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)


def suit_threads(model: nn.Module, shape: tuple[int, int, int]) -> None:
    """Let a small network compute on one CPU thread, unless OMP_NUM_THREADS says otherwise.

    On two cores a second thread gains such a network about a tenth, and beside a busy neighbour,
    where each of its many short operations waits for both, it can cost a factor of ten.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return
    from torch.utils.flop_counter import FlopCounterMode  # imports triton, which takes a while

    images = 2  # as in the trial when the model was built
    with FlopCounterMode(display=False) as counter, mode(model, "eval"), torch.no_grad():
        model(torch.zeros(images, *shape))
    flops = counter.get_total_flops() / images
    # The counter does not see recurrent layers, which use each weight once a row.
    layers = [m for m in model.modules() if isinstance(m, nn.RNNBase)]
    flops += sum(2 * p.numel() * shape[1] for m in layers for p in m.parameters())
    if flops < _SMALL:
        torch.set_num_threads(1)
