"""What this machine offers a sweep: cores, GPUs, and so many workers. Imports no torch."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from advtrain.errors import AdvtrainError

_COUNT = "import torch; print(torch.cuda.device_count())"


@dataclass(frozen=True)
class Seat:
    """A worker's place: the `--device` of its runs, and its environment variables."""

    device: str
    env: dict[str, str] = field(default_factory=dict)


def seats(device: str, jobs: int | None, runs: int) -> list[Seat]:
    """The seats of a sweep with so many runs to do; `jobs` is the number that was asked for."""
    visible: list[str] = []
    if device == "auto" or device.startswith("cuda"):
        visible = visible_gpus(os.environ.get("CUDA_VISIBLE_DEVICES"), count_gpus())
        if device.startswith("cuda:"):
            index = int(device.removeprefix("cuda:"))
            if index >= len(visible):
                text = f"this machine has {len(visible)} CUDA GPUs"
                raise AdvtrainError(f"argument '--device {device}': {text}")
            visible = [visible[index]]
        elif device == "cuda" and not visible:
            raise AdvtrainError(f"argument '--device {device}': this machine has 0 CUDA GPUs")
    apple = device == "mps" or (device == "auto" and _is_apple())
    cores = 1 if apple else usable_cores()
    return assign(device, visible, cores, jobs, runs, os.environ)


def assign(
    device: str, gpus: Sequence[str], cores: int, jobs: int | None, runs: int,
    env: Mapping[str, str],
) -> list[Seat]:  # fmt: skip
    """A seat a GPU, or a core where there is none; `jobs` sets the number, round the GPUs."""
    count = max(1, min(jobs or len(gpus) or cores, runs))
    if gpus:
        return [Seat("cuda", {"CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]}) for i in range(count)]
    # Many short operations: a second thread gains little and waits for busy neighbours.
    threads = {} if "OMP_NUM_THREADS" in env else {"OMP_NUM_THREADS": "1"}
    return [Seat(device, threads) for _ in range(count)]


def visible_gpus(variable: str | None, count: int) -> list[str]:
    """The names by which each of `count` GPUs can be chosen; an earlier choice is kept."""
    chosen = [name.strip() for name in (variable or "").split(",") if name.strip()]
    return chosen[:count] if chosen else [str(i) for i in range(count)]


def count_gpus() -> int:
    """CUDA GPUs by torch's word, asked in another process where there is a driver."""
    if not (shutil.which("nvidia-smi") or shutil.which("rocm-smi")):
        return 0
    done = subprocess.run([sys.executable, "-c", _COUNT], capture_output=True, text=True)
    words = done.stdout.split()
    return int(words[-1]) if done.returncode == 0 and words and words[-1].isdigit() else 0


def usable_cores() -> int:
    """Cores that this process may use, by affinity and by the container's quota."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        cores = os.cpu_count() or 1
    return max(1, min(cores, _quota() or cores))


def _quota() -> int | None:
    """Whole cores of the control group's CPU quota, if it has one."""
    group = Path("/sys/fs/cgroup")
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu/cpu.cfs_quota_us").read_text()
            period = (group / "cpu/cpu.cfs_period_us").read_text()
        return int(quota) // int(period) or 1 if int(quota) > 0 else None
    except (OSError, ValueError):  # no such files, or "max"
        return None


def _is_apple() -> bool:
    return sys.platform == "darwin" and platform.machine() == "arm64"
