"""A task of a Slurm job: a few runs of a sweep, trained on its node as a local sweep would.

submitit loads it there and calls it. What Slurm gave the job are the places of local workers.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from advtrain.config.slurm import Slurm
from advtrain.errors import AdvtrainError
from advtrain.process.signals import handling
from advtrain.store.owner import this_process
from advtrain.store.run_status import read_status
from advtrain.store.slurm_queue import running
from advtrain.store.writer import note_end
from advtrain.sweep.board import Board
from advtrain.sweep.launch.machine import Seat, seats
from advtrain.sweep.launch.pool import Workers
from advtrain.sweep.launch.work_off import Stop, work_off
from advtrain.sweep.plan import Planned
from advtrain.sweep.view import View

_USR2 = signal.SIGUSR2  # submitit asks Slurm for it before a time limit; some clusters preempt so
_LONGEST_GRACE = 3600.0  # seconds
_TICK = 2.0


@dataclass(frozen=True)
class Task:
    """The runs of a task, and how they are trained; `logs` has a folder for each job."""

    runs: tuple[Planned, ...]
    keys: tuple[str, ...]  # those that are swept
    runs_dir: Path
    logs: Path
    slurm: Slurm
    argv: tuple[str, ...]

    def __call__(self) -> None:
        """Train them; where Slurm wants its node back, save them and let it start the job anew."""
        requeue: Any = signal.getsignal(_USR2)  # submitit's handler
        received: list[int] = []
        stop = Stop()
        with _heeding(stop, received):
            self.train(stop)
            if stop.now and _USR2 not in received:
                _stay(received)
        if _USR2 in received and self.todo():
            requeue(_USR2, None)  # ends this process

    def checkpoint(self) -> Any:
        """What submitit starts when the job is requeued: the same."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)

    def todo(self) -> list[Planned]:
        """The runs that this job has yet to train."""
        return [run for run in self.runs if not _over(run)]

    def train(self, stop: Stop) -> None:
        """Train the runs by local workers; an error that concerns them all becomes theirs."""
        todo, board = self.todo(), Board(self.keys)
        if not todo:  # requeued after the last of them had ended
            return
        board.add(todo)
        view = View(board, Console(stderr=True, highlight=False))
        try:
            with ExitStack() as stack:
                workers = Workers(self.places(len(todo)), self.logs / _job(), self.argv)
                stack.callback(workers.close)
                work_off(
                    todo, board, workers, self.runs_dir, view, stop, lambda: None, fail_fast=False
                )
        except AdvtrainError as error:
            view.note(str(error))
            for run in self.todo():
                note_end(run.path, "failed", str(error), epochs=run.config.training.epochs)

    def places(self, runs: int) -> list[Seat]:
        """A seat a GPU, or a core; a core's share of threads is its own."""
        if self.slurm.gpus:
            return seats("cuda", None, runs)
        count = max(1, min(self.slurm.cpus, runs))
        threads = os.environ.get("OMP_NUM_THREADS", str(self.slurm.cpus // count))
        return [Seat("cpu", {"OMP_NUM_THREADS": threads})] * count


def _over(run: Planned) -> bool:
    """Whether the run is finished, or has failed in this job; in another it may have failed."""
    status = read_status(run.path)
    if status is None:
        return False
    return status.state == "finished" or (status.state == "failed" and status.job == _job())


def _job() -> str:
    return this_process().job


@contextmanager
def _heeding(stop: Stop, received: list[int]) -> Iterator[None]:
    """Let SIGTERM and USR2 save the runs; Slurm may send both, and each several times."""

    def note(which: int, _: object) -> None:
        received.append(which)
        stop.now = True

    with handling(note, signal.SIGTERM, _USR2):
        yield


def _stay(received: list[int]) -> None:
    """After SIGTERM alone: end if the job was cancelled; if it is preempted, wait to be killed.

    Slurm puts back into the queue only what it had to kill.
    """
    until = time.monotonic() + _LONGEST_GRACE
    while _USR2 not in received and time.monotonic() < until and running(_job()):
        time.sleep(_TICK)
