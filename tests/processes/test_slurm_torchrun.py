"""docs/torchrun.sbatch: one run on two nodes of a real Slurm, which is preempted and killed."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from advtrain.records import COLUMNS
from tests.helpers.run_files import only_run
from tests.helpers.slurm_host import SlurmHost
from tests.helpers.slurm_runs import SLOW_NET, TIMES, epochs_logged, go_on, held, hold, runs
from tests.helpers.torchrun import ROOT, trained

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


def test_a_job_preempted_and_killed_equals_one_that_never_was(
    slurm: SlurmHost, tmp_path: Path
) -> None:
    def status() -> dict[str, Any]:
        return next(iter(runs(tmp_path).values()), {"state": "none", "epoch": 0})

    (tmp_path / "slow_net.py").write_text(SLOW_NET)
    (tmp_path / "slow.yaml").write_text(CONFIG)
    log = tmp_path / "job.log"
    hold(tmp_path, epochs=2, batches=3)
    job = submit(slurm, tmp_path, "slow.yaml")
    slurm.wait_for(lambda: held(tmp_path))

    slurm.preempt("n2", 3)
    slurm.wait_for(lambda: "stopping after this batch" in log.read_text())
    go_on(tmp_path)
    slurm.wait_for(lambda: "interrupted in epoch 3 after batch 4 of 6" in log.read_text())
    run = only_run(tmp_path / "runs")
    assert (run / "part.pt").exists() and status()["state"] == "interrupted"

    hold(tmp_path, epochs=2, batches=3)  # of the next start, which makes that 5 and 1
    slurm.wait_for(lambda: held(tmp_path))
    first = status()
    assert (first["job"], first["restart"], first["epoch"]) == (job, 1, 5)
    os.kill(first["pid"], signal.SIGKILL)
    go_on(tmp_path)
    slurm.wait_for(lambda: slurm.job(job)["JobState"] in ("COMPLETED", "FAILED"))
    assert status()["state"] == "finished" and status()["restart"] == 2
    assert epochs_logged(run) == list(range(1, 13))

    local = trained(tmp_path, "slow.yaml", "--runs-dir", "local", NAP="0")
    assert local.code == 0, local.err
    ours, here = (
        pd.read_csv(only_run(tmp_path / folder) / "metrics.csv") for folder in ("runs", "local")
    )
    columns = [name for name in COLUMNS if name not in TIMES]
    pd.testing.assert_frame_equal(ours[columns], here[columns], check_exact=True)


def test_a_mistake_is_not_tried_again(slurm: SlurmHost, tmp_path: Path) -> None:
    (tmp_path / "slow_net.py").write_text(SLOW_NET)
    (tmp_path / "slow.yaml").write_text(CONFIG)
    job = submit(slurm, tmp_path, "slow.yaml", "attack.stepz=3")
    slurm.wait_for(lambda: slurm.job(job)["JobState"] == "FAILED")
    assert "attack.stepz: unknown key" in (tmp_path / "job.log").read_text()
    assert slurm.job(job)["Restarts"] == "0" and not (tmp_path / "runs").exists()
