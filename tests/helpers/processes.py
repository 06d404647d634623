"""Processes that tests follow: who belongs to whom, who is left, and waiting for what they do."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path


def wait_until(reached: Callable[[], object], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def children(pid: int) -> list[int]:
    """The processes whose parent is this one."""
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(word) for word in found.stdout.split()]


def parents(pid: int) -> Iterator[int]:
    """A process's parent, its parent, and so on."""
    while pid > 1:
        pid = int(_after_its_name(pid)[1])
        yield pid


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has."""
    try:
        return _after_its_name(pid)[0] == "Z"
    except OSError:
        return True


def kill(pid: int) -> None:
    """End a process at once, unless it has just ended by itself."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _after_its_name(pid: int) -> list[str]:
    """The fields of its stat: state, parent, and so on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
