"""What the tests share: the command line in this process or its own, and small experiments."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tests run side by side

from advtrain import cli
from tests.slurm_host import slurm as slurm  # fixtures for all
from tests.slurm_host import slurm_host as slurm_host

# Tests send Ctrl-C, which a shell's `&` would have this process and all it starts ignore.
signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def forgotten(tmp_path: Path) -> Iterator[None]:
    """Modules that a test wrote are not there for the next one, which may write others so named.

    Nor are the folders of configs, which become importable.
    """
    before = list(sys.path)
    yield
    sys.path[:] = before
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(f"{tmp_path}{os.sep}"):
            del sys.modules[name]


@pytest.fixture
def advtrain(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Done]:
    """Run the command line in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["advtrain", *map(str, arguments)])
        capsys.readouterr()
        code: object = 0
        try:
            cli.main()
        except SystemExit as exit:
            code = exit.code or 0
        captured = capsys.readouterr()
        assert isinstance(code, int)
        return Done(code, captured.out, captured.err)

    return run


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


TINY = """\
name: tiny
model: {name: mlp, args: {width: 16, depth: 1}}
dataset: {name: digits, train_size: 200}
attack: {eps: 0.1, steps: 2}
training: {epochs: 3, batch_size: 32}
evaluation: {steps: 2, size: 40}
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A config that trains in a fraction of a second."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path
