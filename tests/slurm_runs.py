"""Sweeps on the Slurm of the tests: slow enough to be met half-way, whatever the machine does."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from advtrain.records import COLUMNS
from tests.conftest import Done, finish, start
from tests.slurm_host import SlurmHost

# It sleeps in each pass that trains, so that an epoch takes a while but little of the processor.
SLOW_NET = """\
import os, time
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))

    def forward(self, x):
        if self.training:
            time.sleep(float(os.environ.get("NAP", 0.05)))
        return super().forward(x)
"""
CONFIG = """\
name: slow
model: {name: 'import:slow_net:Net'}
dataset: {name: digits, train_size: 200}
attack: {eps: 0.1, steps: 2}
training: {epochs: %d, batch_size: 32}
evaluation: {steps: 2, size: 40}
sweep: {eps: [0.05, 0.1], seeds: [%s]}
"""
TIMES = ("images_per_second", "seconds")


def slow_config(folder: Path, epochs: int = 20, seeds: str = "0") -> Path:
    """A sweep of two cells whose epochs take a third of a second each."""
    (folder / "slow_net.py").write_text(SLOW_NET)
    file = folder / "slow.yaml"
    file.write_text(CONFIG % (epochs, seeds))
    return file


def begin(slurm: SlurmHost, folder: Path, *more: str) -> subprocess.Popen[str]:
    """The sweep's command on Slurm."""
    return start("sweep", "slow.yaml", "--launcher", "slurm", *more, cwd=folder, env=slurm.env)


def sweep(slurm: SlurmHost, folder: Path, *more: str) -> Done:
    """The same, to its end."""
    return finish(begin(slurm, folder, *more), 300)


def half_way(slurm: SlurmHost, folder: Path, epochs: int = 20) -> subprocess.Popen[str]:
    """The sweep's command, when both of its two runs have some epochs behind them."""
    slow_config(folder, epochs)
    process = begin(slurm, folder)
    slurm.wait_for(lambda: len(at_work(folder, epoch=2)) == 2, 60)
    return process


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


def parents(pid: int) -> Iterator[int]:
    """A process's parent, its parent, and so on."""
    while pid > 1:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        pid = int(fields[1])
        yield pid


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
