"""The machine, and whether something else is at work on it."""

from __future__ import annotations

import os
import platform
import resource
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_STAT = Path("/proc/stat")
_PACKAGES = (
    "torch", "torchvision", "torchattacks", "robustness", "adversarial-robustness-toolbox", "numpy",
)  # fmt: skip


class Neighbours:
    """Processor cores that other processes kept busy since it was made."""

    def __init__(self) -> None:
        self._began, self._own, self._all = time.perf_counter(), time.process_time(), _busy()

    def cores(self) -> float:
        """Their mean number; 0 where the system does not tell."""
        wall = time.perf_counter() - self._began
        others = _busy() - self._all - (time.process_time() - self._own)
        return max(0.0, others / wall) if _STAT.exists() else 0.0


def _busy() -> float:
    """Seconds that all processes together have computed since the machine was started."""
    if not _STAT.exists():
        return 0.0
    user, nice, system, _, _, irq, soft, steal = map(int, _STAT.read_text().split()[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def peak_memory() -> float:
    """The most memory that this process held, in MiB."""
    unit = 2**20 if platform.system() == "Darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def description() -> dict[str, Any]:
    """Processor, system, versions and date."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "date": time.strftime("%Y-%m-%d"),
        "versions": {"python": platform.python_version()} | {p: _version(p) for p in _PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (info.read_text().splitlines() if info.exists() else [])
        if line.startswith("model name")
    ]
    return names[0] if names else platform.processor() or platform.machine()
