"""Sweeps on Slurm without one: what is submitted, waited for and given up, by what Slurm says."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from advtrain.config.slurm import Slurm
from advtrain.errors import AdvtrainError
from advtrain.store.run_status import read_status
from advtrain.store.writer import note_queued
from advtrain.sweep.board import Board
from advtrain.sweep.launch import slurm_follow as following
from advtrain.sweep.launch import slurm_task
from advtrain.sweep.launch.slurm_submit import check_slurm, under_way
from advtrain.sweep.launch.slurm_task import Task
from advtrain.sweep.launch.work_off import Stop, work_off
from advtrain.sweep.plan import Planned, plan, read_study
from advtrain.sweep.view import View
from tests.helpers.command_line import Done
from tests.helpers.run_files import made_status
from tests.helpers.slurm_said import Say


class Heard(View):
    """What the sweep said, in place of a console."""

    def __init__(self, board: Board) -> None:
        self.board, self.lines = board, list[str]()

    def note(self, text: str) -> None:
        self.lines.append(text)

    def ended(self, run: Planned, tail: str = "") -> None:
        self.lines.append(f"{run.title}: {self.board.of(run).state}: {self.board.of(run).error}")


@pytest.fixture
def queued(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    """A sweep of two runs, each with a job; looked after without pauses."""
    monkeypatch.setattr(following, "_TICK", 0.01)
    monkeypatch.setattr(following, "_ASK", 0.0)
    board = Board(("eps",))
    runs = plan(read_study(tiny, ["eps=0.05,0.1"], None, tmp_path / "runs"))
    for number, run in enumerate(runs):
        note_queued(run.path, f"9_{number}", 3)
    board.add(runs)
    return board


def rewrite(run: Planned, **changes: object) -> None:
    file = run.path / "status.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def between_looks(monkeypatch: pytest.MonkeyPatch, do: Callable[[float], None]) -> None:
    """Do something where the sweep would sleep; others, as subprocess, sleep as always."""
    clock = SimpleNamespace(sleep=do, monotonic=time.monotonic)
    monkeypatch.setattr(following, "time", clock)


def follow(board: Board, tmp_path: Path, stop: Stop, *, fail_fast: bool = False) -> list[str]:
    """The lines that are said until all has ended, or until stopped."""
    view = Heard(board)
    following.follow(
        board.runs, board, view, stop, tmp_path / "logs", lambda: None, fail_fast=fail_fast
    )
    return view.lines


def test_a_run_whose_job_is_gone_is_given_up_when_its_process_is_silent(
    queued: Board, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say("squeue")
    say("sacct", "9_0|OUT_OF_MEMORY|0:125\n9_1|CANCELLED by 7|0:0\n")
    first, second = queued.runs
    rewrite(first, state="running", heartbeat=time.time(), host="n1")
    looks = iter(range(5))

    def look(seconds: float) -> None:
        """After some looks its process has not been heard of for long."""
        if next(looks, None) is None:
            rewrite(first, heartbeat=0.0)
        else:
            found = read_status(first.path)
            assert found and found.state == "running"

    between_looks(monkeypatch, look)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/9_0_0_log.err").touch()
    said = follow(queued, tmp_path, Stop())
    assert said == [
        "eps=0.1 seed=0: interrupted: its job 9_1 was cancelled by 7",
        f"eps=0.05 seed=0: interrupted: its job 9_0 ran out of memory; its log: "
        f"{tmp_path}/logs/9_0_0_log.err",
    ]
    for run in (first, second):
        assert f"interrupted: its job {read_status(run.path).job}" in (
            run.path / "log.txt"
        ).read_text()  # fmt: skip


def test_a_queue_that_does_not_answer_ends_nothing_and_is_told_once(
    queued: Board, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say("squeue", err="slurm_load_jobs error: Unable to contact slurm controller\n", code=1)
    looks = iter(range(5))

    def look(seconds: float) -> None:
        if next(looks, None) is None:
            for run in queued.runs:
                rewrite(run, state="finished", epoch=3)

    between_looks(monkeypatch, look)
    first, *ends = follow(queued, tmp_path, Stop())
    assert first == (
        "squeue: Unable to contact slurm controller; the runs' directories tell how they go on"
    )
    assert len(ends) == 2 and all(": finished:" in end for end in ends)


def test_a_run_whose_directory_is_gone_is_not_waited_for(
    queued: Board, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    say("squeue", "9_0|PENDING|Priority|\n9_1|PENDING|Priority|\n")

    def look(seconds: float) -> None:
        for run in queued.runs:
            shutil.rmtree(run.path, ignore_errors=True)
        say("squeue")

    between_looks(monkeypatch, look)
    waiting, *ends = follow(queued, tmp_path, Stop())
    assert waiting == "waiting in the queue: 2 tasks: Priority"
    assert len(ends) == 2 and all("is no longer in the queue" in end for end in ends)


def test_runs_under_way_are_not_submitted() -> None:
    queue = {"9_1"}
    assert not under_way(None, queue)
    assert under_way(made_status("n1", 0, "queued", "9_1"), queue)
    assert under_way(made_status("n1", 0, "interrupted", "9_1"), queue)  # requeued
    assert not under_way(made_status("n1", 0, "queued", "9_2"), queue)
    assert not under_way(made_status("n1", 0, "running", "9_2"), queue)  # Slurm has given it up
    assert under_way(made_status("here", 0, "running", ""), queue)  # another process
    assert not under_way(made_status("here", 61, "running", ""), queue)
    assert not under_way(made_status("here", 0, "interrupted", ""), queue)


@pytest.mark.parametrize(
    ("device", "gpus", "expected"),
    [
        ("cuda:1", 2, "with --launcher slurm expected auto, cpu or cuda"),
        ("mps", 0, "with --launcher slurm expected auto, cpu or cuda"),
        ("cuda", 0, "slurm.gpus is 0; slurm.gpus=1 asks for one"),
        ("cpu", 2, "slurm.gpus is 2; slurm.gpus=0 asks for none"),
    ],
)
def test_a_device_that_contradicts_the_config_is_refused(
    device: str, gpus: int, expected: str
) -> None:
    with pytest.raises(AdvtrainError, match=f"argument '--device {device}': {expected}"):
        check_slurm(Slurm(gpus=gpus), device)


def test_without_slurm_or_submitit_nothing_begins(
    advtrain: Callable[..., Done], tiny: Path, tmp_path: Path, say: Say,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    arguments = ("sweep", tiny, "eps=0.05,0.1", "--launcher", "slurm")
    done = advtrain(*arguments)
    assert done.code == 2 and "sbatch and srun are not on PATH" in done.err
    say("srun")
    monkeypatch.setitem(sys.modules, "submitit", None)
    done = advtrain(*arguments)
    assert done.code == 2 and done.err.splitlines() == [
        "--launcher slurm needs submitit: pip install 'advtrain[slurm]'"
    ]
    assert not (tmp_path / "runs").exists()


def test_dry_run_counts_tasks_not_this_machines_cores(
    advtrain: Callable[..., Done], tiny: Path
) -> None:
    arguments = ("sweep", tiny, "eps=0.05,0.1", "--seeds", "0-9", "--launcher", "slurm",
                 "--dry-run", "--json", "slurm.runs_per_task=4", "slurm.cpus=2")  # fmt: skip
    assert json.loads(advtrain(*arguments).out)["workers"] == 10
    assert json.loads(advtrain(*arguments, "--jobs", 3).out)["workers"] == 6


def task(board: Board, tmp_path: Path, **slurm: int) -> Task:
    return Task(tuple(board.runs), ("eps",), tmp_path / "runs", tmp_path / "logs",
                Slurm(**slurm), ("advtrain",))  # fmt: skip


def test_a_task_leaves_alone_what_its_job_has_ended(
    queued: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = queued.runs
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    rewrite(first, state="finished")
    rewrite(second, state="failed", job="8")  # and is asked for again
    assert task(queued, tmp_path).todo() == [second]
    rewrite(second, job="9")
    monkeypatch.setattr(slurm_task, "Workers", None)  # it would fail to start any
    task(queued, tmp_path).train(Stop())


def test_a_node_without_the_gpu_that_was_asked_for_fails_its_runs(
    queued: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """And does not train them on CPUs instead."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr("advtrain.sweep.launch.machine.count_gpus", lambda: 0)
    task(queued, tmp_path, gpus=1).train(Stop())
    for run in queued.runs:
        found = read_status(run.path)
        assert found and found.state == "failed" and "0 CUDA GPUs" in found.error
    assert "0 CUDA GPUs" in capsys.readouterr().err


def test_a_task_has_a_seat_a_core_and_shares_out_their_threads(
    queued: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    places = task(queued, tmp_path, cpus=8).places(2)
    assert [place.env for place in places] == [{"OMP_NUM_THREADS": "4"}] * 2
    assert {place.device for place in places} == {"cpu"}
    assert len(task(queued, tmp_path, cpus=3).places(9)) == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert task(queued, tmp_path).places(2)[0].env == {"OMP_NUM_THREADS": "2"}


class OneWorker:
    """In place of Workers: its run has been saved before the sweep knows that it is stopped."""

    def __init__(self, run: Planned, stop: Stop) -> None:
        self.run: Planned | None = run
        self.end = stop

    def alive(self) -> bool:
        return self.run is not None

    busy = alive

    def idle(self) -> list[OneWorker]:
        return []

    def event(self, wait: float) -> tuple[OneWorker, dict[str, str]]:
        self.end.now = True
        return self, {"event": "ended", "state": "interrupted", "error": ""}

    def stop(self) -> None: ...


def test_a_worker_that_slurm_stops_before_the_task_does_is_no_failure(
    queued: Board, tmp_path: Path
) -> None:
    run, stop = queued.runs[0], Stop()
    rewrite(run, state="interrupted", attempt=1)
    worker: Any = OneWorker(run, stop)
    work_off([], queued, worker, tmp_path, Heard(queued), stop, lambda: None, fail_fast=False)
    assert queued.of(run).state == "interrupted" and not queued.of(run).failed
    found = read_status(run.path)
    assert found and found.error == ""
