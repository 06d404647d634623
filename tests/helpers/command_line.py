"""The command line as a process of its own, what it leaves, and a config that trains fast."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TINY = """\
name: tiny
model: {name: mlp, args: {width: 16, depth: 1}}
dataset: {name: digits, train_size: 200}
attack: {eps: 0.1, steps: 2}
training: {epochs: 3, batch_size: 32}
evaluation: {steps: 2, size: 40}
"""


@dataclass
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def complaints(self) -> list[str]:
        """The lines on stderr, but those that describe the data."""
        return [line for line in self.err.splitlines() if not line.startswith("data: ")]


def start(
    *arguments: object, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """The command line as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "advtrain", *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | (env or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], timeout: float = 300) -> Done:
    """Wait for a process; kill it if it does not end."""
    with contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        out, err = process.communicate(timeout=timeout)
    return Done(process.returncode, out, err)


def heard(process: subprocess.Popen[str], words: str = "stopping") -> str:
    """The line with these words of what the process tells on stderr, read no further."""
    assert process.stderr
    line = b""
    while byte := os.read(process.stderr.fileno(), 1):
        line += byte
        if byte == b"\n":
            if words in line.decode():
                return line.decode()
            line = b""
    raise AssertionError(f"it ended without {words!r}")
