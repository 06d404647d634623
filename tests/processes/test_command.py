"""`advtrain` as a process of its own: what it prints, to a terminal and to a pipe."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers.bad_input import ARGUMENTS, FILES, Bad, check
from tests.helpers.command_line import finish, start
from tests.helpers.run_files import same_training
from tests.helpers.terminal import read_all


def test_a_terminal_json_or_a_run_beside_it_change_no_figure(
    advtrain, tiny: Path, tmp_path: Path
) -> None:
    alone = Path(
        json.loads(advtrain("train", tiny, "--runs-dir", "alone", "--json").out)["run_dir"]
    )
    master, terminal = pty.openpty()
    watched = subprocess.Popen(
        [sys.executable, "-m", "advtrain", "train", tiny, "--runs-dir", "watched"],
        cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=terminal,
        env=os.environ | {"OMP_NUM_THREADS": "1", "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(terminal)
    beside = start("train", tiny, "--runs-dir", "beside", "--json", cwd=tmp_path)
    seen = read_all(master)
    out = watched.communicate(timeout=120)[0].decode()
    assert finish(beside).code == 0 and watched.returncode == 0
    assert "test robust" in seen and "images/s" in seen and "left" in seen
    assert "robust accuracy" in out and "\x1b" not in out  # results in a pipe are plain
    for folder in ("watched", "beside"):
        other = pd.read_csv(tmp_path / folder / "tiny" / alone.name / "metrics.csv")
        same_training(pd.read_csv(alone / "metrics.csv"), other)


def test_ascii_terminals_get_ascii(tiny: Path, tmp_path: Path) -> None:
    env = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"}
    done = finish(start("train", tiny, cwd=tmp_path, env=env))
    assert done.code == 0 and done.out.isascii() and "robust loss" in done.out


@pytest.mark.parametrize("case", [FILES[0], ARGUMENTS[0], ARGUMENTS[-1]], ids=lambda case: case.id)
def test_the_command_itself_does_the_same(tmp_path: Path, case: Bad) -> None:
    check(case, finish(start(*case.write(tmp_path), cwd=tmp_path)), tmp_path)
