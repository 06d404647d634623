"""A sweep whose workers train: the runs are those of `advtrain train`, and a terminal sees them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

from advtrain import load_config, train
from tests.helpers.kills import differences


def test_a_sweep_leaves_the_runs_that_train_gives(advtrain, tiny: Path, tmp_path: Path) -> None:
    done = advtrain("sweep", tiny, "eps=0.05,0.1", "lr=0.05,0.5", "--seeds", "0-1", "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert {run["state"] for run in result["runs"]} == {"finished"} and len(result["runs"]) == 8
    own = train(load_config(tiny, ["eps=0.1", "lr=0.5", "seed=1"]), tmp_path / "own", device="cpu")
    swept = next(Path(r["run_dir"]) for r in result["runs"]
                 if r["overrides"] == ["eps=0.1", "lr=0.5"] and r["seed"] == 1)  # fmt: skip
    assert differences(own.dir, tmp_path / swept) == []
    assert json.loads((swept / "provenance.json").read_text())["sessions"][0]["argv"] == [
        "advtrain", "sweep", str(tiny), "eps=0.05,0.1", "lr=0.05,0.5", "--seeds", "0-1", "--json",
    ]  # fmt: skip


def test_a_terminal_sees_the_grid_while_it_is_trained(tiny: Path, tmp_path: Path) -> None:
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "advtrain", "sweep", tiny, "eps=0.1,0.2", "lr=0.1,0.5", "epochs=30"],
        cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=terminal,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
    )  # fmt: skip
    os.close(terminal)
    seen = b""
    try:
        while part := os.read(master, 65536):
            seen += part
    except OSError:  # Linux: the other end is closed
        pass
    out = process.communicate(timeout=60)[0].decode()
    text = seen.decode()
    assert process.returncode == 0 and "\x1b" not in out
    assert "eps \\ lr" in text and "/4 runs" in text and "left" in text and "/30" in text
