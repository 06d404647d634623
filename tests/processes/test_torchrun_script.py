"""docs/torchrun.sbatch decides whether the job is put back into the queue; Slurm is pretended."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.helpers.torchrun import ROOT

PRETENDED = {
    "srun": "exit $TORCHRUN",
    "scontrol": 'echo "$@" >>asked',
    "advtrain": "[ -z $RUN ] || echo directory  $RUN",  # else the config has a mistake
}


def requeued(
    folder: Path, status: str = "", run: str = "run", torchrun: int = 1, **of: str
) -> bool:
    for name, line in PRETENDED.items():
        file = folder / name
        file.write_text(f"#!/bin/bash\n{line}\n")
        file.chmod(0o755)
    if status:
        (folder / "run").mkdir()
        (folder / "run/status.json").write_text(status)
    env = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_ID": "12",
           "SLURM_NNODES": "2", "RUN": run, "TORCHRUN": str(torchrun)}  # fmt: skip
    script = ["bash", ROOT / "docs/torchrun.sbatch", "config.yaml"]
    done = subprocess.run(script, cwd=folder, env=env | of, capture_output=True, text=True)
    assert done.returncode == (torchrun != 0) and done.stderr == ""
    asked = folder / "asked"
    assert not asked.exists() or asked.read_text() == "requeue 12\n"
    return asked.exists()


@pytest.mark.parametrize("restart", ["0", "1", "20"])
@pytest.mark.parametrize("state", ["interrupted", "running", "failed"])
@pytest.mark.parametrize("job", ["12", "1", "123"])
def test_what_has_begun_goes_on(tmp_path: Path, state: str, job: str, restart: str) -> None:
    status = f'{{\n "state": "{state}",\n "host": "12",\n "job": "{job}"\n}}'
    stopped = job == "12" and state != "failed" and restart != "20"
    loading = job != "12" and restart == "0"
    assert requeued(tmp_path, status, SLURM_RESTART_COUNT=restart) == (stopped or loading)


def test_what_was_stopped_while_it_loaded_is_tried_once_more(tmp_path: Path) -> None:
    assert requeued(tmp_path)  # Slurm sets no SLURM_RESTART_COUNT the first time
    (tmp_path / "asked").unlink()
    assert not requeued(tmp_path, SLURM_RESTART_COUNT="1")


def test_what_has_ended_and_what_cannot_begin_are_not(tmp_path: Path) -> None:
    assert not requeued(tmp_path, torchrun=0)
    assert not requeued(tmp_path, run="")
