"""docs/torchrun.sbatch: one run on two nodes of a real Slurm, which is preempted and killed."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from advtrain.records import COLUMNS
from tests.slurm_host import SlurmHost
from tests.slurm_runs import TIMES, epochs_logged, runs
from tests.torchrun import ROOT, only_run, trained

# It sleeps as long as a file says in each pass that trains, and tells that it is in a long one.
NET = """\
import time
from pathlib import Path
from torch import nn

NAP = Path(__file__).with_name("nap")

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))

    def forward(self, x):
        if self.training:
            seconds = float(NAP.read_text() or 0)
            if seconds > 1:
                NAP.with_name("asleep").touch()
            time.sleep(seconds)
        return super().forward(x)
"""
CONFIG = """\
name: slow
model: {name: 'import:slow_net:Net'}
dataset: {name: digits, train_size: 200}
attack: {eps: 0.1, steps: 2}
training: {epochs: 12, batch_size: 32}
evaluation: {steps: 2, size: 40}
"""


def submit(slurm: SlurmHost, folder: Path, *arguments: str) -> str:
    """The number of the job of docs/torchrun.sbatch over both nodes."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return slurm.run(
        "sbatch", "--parsable", "--nodes=2", f"--chdir={folder}", "--output=job.log",
        f"--export=ALL,PATH={path},PYTHONPATH={ROOT},OMP_NUM_THREADS=1",
        ROOT / "docs/torchrun.sbatch", *arguments,
    ).strip()  # fmt: skip


def test_preempted_and_killed_it_equals_one_that_never_was(
    slurm: SlurmHost, tmp_path: Path
) -> None:
    def status() -> dict[str, Any]:
        return next(iter(runs(tmp_path).values()), {"state": "none", "epoch": 0})

    (tmp_path / "slow_net.py").write_text(NET)
    (tmp_path / "slow.yaml").write_text(CONFIG)
    nap = tmp_path / "nap"
    nap.write_text("0.05")
    job = submit(slurm, tmp_path, "slow.yaml")
    slurm.wait_for(lambda: status()["epoch"] >= 2, 90)

    nap.write_text("3")  # an epoch of seven batches, so that it is met within
    slurm.wait_for((tmp_path / "asleep").exists, 30)
    slurm.preempt("n2", 3)
    slurm.wait_for(lambda: status()["state"] == "interrupted", 30)
    nap.write_text("0.05")
    run = only_run(tmp_path / "runs")
    assert "interrupted in epoch " in (tmp_path / "job.log").read_text()
    assert (run / "part.pt").exists() and slurm.job(job)["JobState"] != "FAILED"
    epoch = status()["epoch"]
    slurm.wait_for(lambda: status()["state"] == "running" and status()["epoch"] > epoch, 90)

    first, epoch = status(), status()["epoch"]
    assert (first["job"], first["restart"]) == (job, 1)
    os.kill(first["pid"], signal.SIGKILL)
    slurm.wait_for(lambda: slurm.job(job)["JobState"] in ("COMPLETED", "FAILED"), 120)
    assert status()["state"] == "finished" and status()["restart"] == 2
    assert epochs_logged(run) == list(range(1, 13))

    nap.write_text("0")
    local = trained(tmp_path, "slow.yaml", "--runs-dir", "local")
    assert local.code == 0, local.err
    ours, here = (
        pd.read_csv(only_run(tmp_path / folder) / "metrics.csv") for folder in ("runs", "local")
    )
    columns = [name for name in COLUMNS if name not in TIMES]
    pd.testing.assert_frame_equal(ours[columns], here[columns], check_exact=True)


def test_a_mistake_is_not_tried_again(slurm: SlurmHost, tmp_path: Path) -> None:
    (tmp_path / "slow_net.py").write_text(NET)
    (tmp_path / "slow.yaml").write_text(CONFIG)
    job = submit(slurm, tmp_path, "slow.yaml", "attack.stepz=3")
    slurm.wait_for(lambda: slurm.job(job)["JobState"] == "FAILED", 60)
    assert "attack.stepz: unknown key" in (tmp_path / "job.log").read_text()
    assert slurm.job(job)["Restarts"] == "0" and not (tmp_path / "runs").exists()
