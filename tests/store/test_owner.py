"""Who may take a run over: another host's when it is silent, a Slurm job's when it starts anew."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from advtrain import load_config, train
from advtrain.errors import Superseded
from advtrain.store.owner import Owner, this_process
from advtrain.store.run_status import read_status
from advtrain.store.writer import note_queued
from advtrain.tasks.diagnose import diagnose_all
from tests.helpers.run_files import made_status, rewrite, state
from tests.helpers.stopped_runs import stopped

NOW, LONG_AGO = 0.0, 61.0


def owner(host: str = "here", job: str = "", restart: int = 0) -> Owner:
    return Owner(host, 8, job, restart)


@pytest.mark.parametrize(
    ("who", "found", "yields", "outlives"),
    [
        (owner(), ("here", NOW), False, False),  # the lock tells
        (owner(), ("here", LONG_AGO), False, False),
        (owner(), ("there", NOW), True, False),
        (owner(), ("there", LONG_AGO), False, True),
        (owner(), ("there", LONG_AGO, "failed"), False, False),
        (owner(job="9_1", restart=2), ("there", NOW), False, True),
        (owner(job="9_1", restart=2), ("here", NOW), False, True),
        (owner(job="9_1", restart=1), ("there", NOW), True, False),
        (owner(job="9_1", restart=0), ("there", NOW), True, False),
        (owner(job="9_2", restart=2), ("there", NOW), True, False),
        (owner(job="", restart=2), ("there", NOW, "running", ""), True, False),
        (owner(job="9_1", restart=2), ("there", NOW, "queued"), False, True),
        (owner(job="9_1", restart=2), ("there", NOW, "finished"), False, False),
    ],
)
def test_who_yields_and_who_outlives(
    who: Owner, found: tuple[Any, ...], yields: bool, outlives: bool
) -> None:
    there = made_status(*found)
    assert (who.yields_to(there), who.outlives(there)) == (yields, outlives)
    assert not who.outlives(None)


def test_slurm_says_which_job_a_process_is_part_of(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("SLURM")]:
        monkeypatch.delenv(name)
    assert (this_process().job, this_process().restart) == ("", 0)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    assert this_process().job == "12"
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "11")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "3")
    monkeypatch.setenv("SLURMD_NODENAME", "n2")
    assert this_process() == Owner("n2", os.getpid(), "11_0", 3)


def test_overtaken_within_a_write_it_says_so(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_bytes = Path.write_bytes

    def overtaken(file: Path, content: bytes) -> int:
        written = write_bytes(file, content)
        if file.name.startswith(".last.pt"):
            rewrite(file.parent, attempt=2)
            file.unlink()  # as a later attempt does
        return written

    monkeypatch.setattr(Path, "write_bytes", overtaken)
    with pytest.raises(Superseded):
        train(load_config(tiny), tmp_path / "runs", device="cpu")


def test_a_queued_run_keeps_what_it_has_and_is_trained_by_anyone(
    tiny: Path, tmp_path: Path
) -> None:
    run = stopped(tiny, tmp_path / "runs")
    before = state(run)
    note_queued(run, "9_1", 3)
    changed = {key for key, value in state(run).items() if value != before[key]}
    assert changed == {"state", "job", "heartbeat"}
    assert train(load_config(tiny), tmp_path / "runs", device="cpu").status.job == ""
    finished = state(run)
    note_queued(run, "9_2", 3)
    assert state(run) == finished


def test_a_run_may_be_queued_before_anything_of_it_is_there(tiny: Path, tmp_path: Path) -> None:
    run = stopped(tiny, tmp_path / "elsewhere")
    new = tmp_path / "runs/tiny" / run.name
    note_queued(new, "9_1", 3)
    found = read_status(new)
    assert found and (found.state, found.attempt, found.job) == ("queued", 0, "9_1")
    assert {file.name for file in new.iterdir()} <= {"status.json", ".lock"}
    (result,) = diagnose_all([new.parent])
    assert result.verdict.headline == "cannot tell: no epochs yet (queued)"
    done = train(load_config(tiny), tmp_path / "runs", device="cpu")
    assert done.dir == new and done.status.attempt == 1
    assert (new / "metrics.csv").read_text().count("\n") == 4
