"""Runs of several processes for the tests: started as a user does, and what is left of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from advtrain.records import COLUMNS, TIMES
from tests.helpers.command_line import Done, finish

ROOT = Path(__file__).parents[2]


def torchrun(
    processes: int, *arguments: object, cwd: Path, env: dict[str, str] | None = None
) -> subprocess.Popen[str]:
    """A module with its arguments, by so many processes on this machine."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", "--standalone",
         "--nproc-per-node", str(processes), "-m", *map(str, arguments)],
        cwd=cwd, env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": path} | (env or {}),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def trained(cwd: Path, *arguments: object, processes: int = 2, **env: str) -> Done:
    """`advtrain train` by several processes, to its end."""
    return finish(torchrun(processes, "advtrain", "train", *arguments, cwd=cwd, env=env))


def lines_of_its_own(done: Done) -> list[str]:
    """What advtrain said on stderr, besides the data: torchrun reports failures at length, too."""
    (said, *_) = done.err.partition("Traceback (most recent call last):")
    noise = (": W", ": E", "W1", "E1", "W0", "E0", "*", "Setting OMP", "data: ")
    return [line for line in said.splitlines() if line and not line.startswith(noise)]


def close(ours: pd.DataFrame, one: pd.DataFrame) -> None:
    """Both tables agree within rounding, in all columns but the times.

    Float32's rounding, 6e-8, grows from step to step, of which there are some tens.
    """
    columns = [c for c in COLUMNS if c not in TIMES]
    pd.testing.assert_frame_equal(
        ours[columns], one[columns], check_exact=False, rtol=1e-3, atol=1e-5
    )
