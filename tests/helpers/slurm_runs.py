"""Sweeps on the Slurm of the tests: slow enough to be met half-way, whatever the machine does."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from advtrain.records import COLUMNS
from tests.helpers.slurm_host import SlurmHost

# It sleeps in each pass that trains, so that an epoch takes a while but little of the processor.
# If there is a file `hold`, it waits after as many passes as that said when the network was built,
# until the file is gone; meanwhile there is a file `held-PID`.
SLOW_NET = """\
import os, time
from pathlib import Path
from torch import nn

HOLD = Path(__file__).with_name("hold")
HELD = HOLD.with_name(f"held-{os.getpid()}")

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
        self.passes, self.free = 0, int(HOLD.read_text()) if HOLD.exists() else float("inf")

    def forward(self, x):
        if self.training:
            self.passes += 1
            time.sleep(float(os.environ.get("NAP", 0.05)))
            while self.passes > self.free and HOLD.exists():
                HELD.touch()
                time.sleep(0.02)
            HELD.unlink(missing_ok=True)
        return super().forward(x)
"""
BATCHES = 6  # of an epoch, each of which is one pass that trains
CONFIG = """\
name: slow
model: {name: 'import:slow_net:Net'}
dataset: {name: digits, train_size: 200}
attack: {eps: 0.1, steps: 2}
training: {epochs: %d, batch_size: 32}
evaluation: {steps: 2, size: 40}
sweep: {eps: [0.05, 0.1], seeds: [%s]}
"""
COMMAND = ["sweep", "slow.yaml", "--launcher", "slurm"]
# `advtrain` that asks this Slurm, which nobody else uses, more often than every ten seconds.
HASTY = """\
import sys
from advtrain.cli import main
from advtrain.sweep.launch import slurm_follow
slurm_follow._TICK, slurm_follow._ASK = 0.2, 1.0
sys.argv = ["advtrain", *sys.argv[1:]]
main()
"""
TIMES = ("images_per_second", "seconds")


def slow_config(folder: Path, epochs: int = 20, seeds: str = "0") -> Path:
    """A sweep of two cells whose epochs take a third of a second each."""
    (folder / "slow_net.py").write_text(SLOW_NET)
    file = folder / "slow.yaml"
    file.write_text(CONFIG % (epochs, seeds))
    return file


def begin(slurm: SlurmHost, folder: Path, *more: str) -> subprocess.Popen[str]:
    """The sweep's command on Slurm, as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", HASTY, *COMMAND, *more], cwd=folder,
        env=slurm.env | {"OMP_NUM_THREADS": "1"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def half_way(slurm: SlurmHost, folder: Path, epochs: int = 20) -> subprocess.Popen[str]:
    """The sweep's command, when both of its two runs wait within their third epoch."""
    slow_config(folder, epochs)
    hold(folder, epochs=2, batches=3)
    process = begin(slurm, folder)
    slurm.wait_for(lambda: len(held(folder)) == 2)
    return process


def hold(folder: Path, epochs: int, batches: int) -> None:
    """Let runs that start from now on wait after so many epochs of theirs, and batches."""
    (folder / "hold").write_text(str(BATCHES * epochs + batches))


def go_on(folder: Path) -> None:
    (folder / "hold").unlink()


def held(folder: Path) -> list[str]:
    """The runs that wait within an epoch."""
    return [n for n in at_work(folder) if (folder / f"held-{runs(folder)[n]['pid']}").exists()]


def stopping(folder: Path, name: str) -> bool:
    """Whether the run was told to stop: it has, or will after its batch."""
    status = runs(folder)[name]
    logs = folder.glob(f"runs/slow/sweeps/*/slurm/{status['job']}/worker-1.log")
    told = any("stopping after this batch" in log.read_text() for log in logs)
    return told or status["state"] == "interrupted"


def runs(folder: Path) -> dict[str, dict[str, Any]]:
    """The status of each run, by its directory's name."""
    found = {}
    for file in sorted(folder.glob("runs/slow/*/status.json")):
        found[file.parent.name] = json.loads(file.read_text())
    return found


def states(folder: Path) -> list[str]:
    return [status["state"] for status in runs(folder).values()]


def at_work(folder: Path, node: str = "", epoch: int = 1) -> list[str]:
    """The runs that are trained, on a node, and have so many epochs behind them."""
    return [
        name
        for name, status in runs(folder).items()
        if status["state"] == "running" and status["epoch"] >= epoch
        and node in ("", status["host"])
    ]  # fmt: skip


def without_times(file: Path) -> list[dict[str, str]]:
    """The rows of a metrics.csv in all columns but those of time."""
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert rows and list(rows[0]) == list(COLUMNS)
    return [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


def epochs_logged(run: Path) -> list[int]:
    """The epochs in the order in which log.txt says that they were trained."""
    return [int(found) for found in re.findall(r" epoch (\d+)/", (run / "log.txt").read_text())]


def after_its_verdict(run: Path) -> str:
    return (run / "log.txt").read_text().partition("verdict:")[2].partition("\n")[2]
