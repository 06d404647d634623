"""The device that a run computes on, set up so that equal runs give equal numbers."""

from __future__ import annotations

import os
import platform

import torch

from advtrain.errors import AdvtrainError

PRECISION = "fp32"


def choose_device(wanted: str) -> torch.device:
    """`auto` (CUDA, else Apple's MPS, else CPU), `cpu`, `cuda`, `cuda:N` or `mps`, if it is there.

    On CUDA, algorithms are made deterministic and full fp32, which costs speed.
    """
    if wanted == "auto":
        mps = torch.backends.mps.is_available()
        wanted = "cuda" if torch.cuda.is_available() else "mps" if mps else "cpu"
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise AdvtrainError(
            f"argument '--device {wanted}': expected auto, cpu, cuda, cuda:N or mps"
        ) from None
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise AdvtrainError(f"argument '--device {wanted}': this machine has {count} CUDA GPUs")
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS needs it for the next
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    elif device.type == "mps" and not torch.backends.mps.is_available():
        raise AdvtrainError(f"argument '--device {wanted}': this machine has no Apple GPU")
    elif device.type not in ("cpu", "cuda", "mps"):
        raise AdvtrainError(
            f"argument '--device {wanted}': expected auto, cpu, cuda, cuda:N or mps"
        )
    return device


def device_name(device: torch.device) -> str:
    """What the device is called, for the record."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()
