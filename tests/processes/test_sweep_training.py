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
from tests.helpers.terminal import read_all


def test_a_terminal_sees_the_grid_and_its_runs_are_those_of_train(
    tiny: Path, tmp_path: Path
) -> None:
    words = ["sweep", str(tiny), "eps=0.05,0.1", "lr=0.1,0.5", "epochs=20"]
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "advtrain", *words],
        cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=terminal,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
    )  # fmt: skip
    os.close(terminal)
    seen, out = read_all(master), process.communicate(timeout=60)[0].decode()
    assert process.returncode == 0 and "\x1b" not in out
    assert "eps \\ lr" in seen and "/4 runs" in seen and "left" in seen and "/20" in seen
    runs = {file.parent.name: file.parent for file in tmp_path.glob("runs/tiny/*/status.json")}
    assert len(runs) == 4
    own = train(load_config(tiny, ["eps=0.1", "lr=0.5", "epochs=20"]), tmp_path / "own").dir
    assert differences(own, runs[own.name]) == []
    (session,) = json.loads((runs[own.name] / "provenance.json").read_text())["sessions"]
    assert session["argv"][1:] == words
