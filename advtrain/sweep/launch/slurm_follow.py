"""The loop of a sweep on Slurm: submits what is missing, then reads what becomes of the runs.

Whether a run has ended its directory says; the queue says only whether one may still hope.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from advtrain.errors import AdvtrainError
from advtrain.store.run_status import STALE, Status, read_status
from advtrain.store.slurm_queue import Job, ending, in_queue
from advtrain.store.writer import note_end
from advtrain.sweep.board import Board, outcome
from advtrain.sweep.launch.slurm_submit import submit, under_way
from advtrain.sweep.launch.work_off import Stop
from advtrain.sweep.plan import Planned, Study
from advtrain.sweep.view import View

_TICK = 1.0  # seconds between looks at the runs' directories
_ASK = 10.0  # seconds between questions to Slurm, which many users share


@dataclass
class QueueWatch:
    """The jobs of some runs that Slurm has yet to end, as of the last time it was asked."""

    of: dict[Path, str] = field(default_factory=dict)  # each run's job, as it was last known
    jobs: dict[str, Job] = field(default_factory=dict)
    asked: float = -math.inf
    told: set[str] = field(default_factory=set)

    def ask(self, runs: Sequence[Planned], view: View) -> bool:
        """Ask anew if it is time; False if the answer is old. A failure to answer is told once."""
        if time.monotonic() - self.asked < _ASK:
            return False
        self.asked = time.monotonic()
        statuses = {run.path: read_status(run.path) for run in runs}
        self.of |= {path: status.job for path, status in statuses.items() if status}
        try:
            self.jobs = in_queue({self.of[run.path] for run in runs if self.of.get(run.path)})
        except AdvtrainError as error:
            self._tell(f"{error}; the runs' directories tell how they go on", view)
            return False
        waiting = [job for job in self.jobs.values() if job.state == "PENDING"]
        for reason in {job.reason for job in waiting} - {"None"}:
            count = sum(job.reason == reason for job in waiting)
            self._tell(f"waiting in the queue: {_count(count, 'task')}: {reason}", view, reason)
        return True

    def _tell(self, text: str, view: View, key: str = "") -> None:
        if (key or text) not in self.told:
            self.told.add(key or text)
            view.note(text)


def launch(
    todo: Sequence[Planned], study: Study, board: Board, directory: Path, view: View,
    jobs: int | None, argv: Sequence[str],
) -> None:  # fmt: skip
    """Submit those of the runs that no job and no process is at."""
    statuses = {run.path: read_status(run.path) for run in todo}
    queue = in_queue({status.job for status in statuses.values() if status and status.job})
    missing = [run for run in todo if not under_way(statuses[run.path], queue)]
    if there := len(todo) - len(missing):
        view.note(f"{_count(there, 'run')} under way already, in the queue or by another process")
    if missing:
        slurm = missing[0].config.slurm
        names = submit(missing, study, directory, jobs, argv)
        where = f"partition {slurm.partition}" if slurm.partition else "the default partition"
        gpus = f"{_count(slurm.gpus, 'GPU')} a task"
        on = gpus if slurm.gpus else "on CPUs, since slurm.gpus is 0"
        view.note(
            f"submitted {_count(len(missing), 'run')} as {_count(len(names), 'task')} of Slurm job "
            f"{names[0].partition('_')[0]} to {where}, {on}; their logs: {directory / 'slurm'}"
        )
    for run in todo:  # what ended it before is no failure of this sweep
        board.outcomes[run.path] = replace(board.of(run), state="queued", error="")


def follow(
    todo: Sequence[Planned], board: Board, view: View, stop: Stop, logs: Path,
    changed: Callable[[], object], *, fail_fast: bool,
) -> list[Planned]:  # fmt: skip
    """Wait until each run has ended or has no job any more, or until stopped; those not ended.

    `logs` has the tasks' logs. `changed` is called whenever a run has come to an end.
    """
    left, queue = list(todo), QueueWatch()
    while left and not stop.now:
        fresh = queue.ask(left, view)
        view.workers = max(1, sum(job.state == "RUNNING" for job in queue.jobs.values()))
        for run in list(left):
            status, job = read_status(run.path), queue.of.get(run.path, "")
            if fresh and job not in queue.jobs and not _may_live(status):
                _note_loss(run, status, job, logs)
                status = read_status(run.path)
            elif status is None or status.state not in ("finished", "failed"):
                if status and (status.state, status.epoch) != _known(board, run):
                    board.outcomes[run.path] = replace(outcome(run), error="")
                    view.moved(run)
                continue
            left.remove(run)
            board.outcomes[run.path] = outcome(run)
            view.ended(run)
            changed()
            stop.now |= fail_fast and board.of(run).failed
        view.tick()
        time.sleep(_TICK)
    return left


def _may_live(status: Status | None) -> bool:
    """Whether a process may be at the run, by its heartbeat."""
    return status is not None and status.state == "running" and status.silent < STALE


def _note_loss(run: Planned, status: Status | None, job: str, logs: Path) -> None:
    """Leave in the directory of a run that has not ended what became of its job."""
    if status and (status.error or status.state in ("finished", "failed")):
        return
    cause, log = "its process ended", logs / f"{job}_0_log.err"
    if job:
        cause = f"its job {job} {ending(job)}" + (f"; its log: {log}" if log.exists() else "")
    with contextlib.suppress(AdvtrainError):  # another process has it already
        note_end(run.path, "interrupted", cause, epochs=run.config.training.epochs)


def jobs_of(runs: Sequence[Planned]) -> list[str]:
    """The jobs that the runs wait for, or that are at them."""
    statuses = [read_status(run.path) for run in runs]
    at = {s.job for s in statuses if s and s.job and s.state in ("queued", "running")}
    return sorted(at)


def _count(number: int, of: str) -> str:
    return f"{number} {of}" if number == 1 else f"{number} {of}s"


def _known(board: Board, run: Planned) -> tuple[str, int]:
    return board.of(run).state, board.of(run).epoch
