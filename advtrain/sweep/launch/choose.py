"""Where a sweep's runs are trained: by workers on this machine, or by the jobs of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from advtrain.store.slurm_queue import cancel
from advtrain.sweep.board import Board
from advtrain.sweep.launch.machine import seats
from advtrain.sweep.launch.pool import Workers
from advtrain.sweep.launch.slurm_follow import follow, jobs_of, launch
from advtrain.sweep.launch.work_off import Stop, work_off
from advtrain.sweep.plan import Planned, Study
from advtrain.sweep.sweep_tables import write_tables
from advtrain.sweep.view import View

Train = Callable[[Sequence[Planned], int], None]  # runs; how many the sweep may come to train


@dataclass(frozen=True)
class Options:
    """The command's options, besides what makes the study."""

    device: str = "auto"
    jobs: int | None = None
    rerun: str | None = None  # "failed" or "all"
    fail_fast: bool = False
    refine: str | None = None
    budget: int | None = None
    argv: tuple[str, ...] = ()  # as it was typed, for the record
    launcher: str = "local"  # one of LAUNCHERS


@dataclass(frozen=True)
class Sweep:
    """A sweep that goes on: its runs, how they stand, and who watches."""

    study: Study
    board: Board
    options: Options
    directory: Path
    view: View
    stop: Stop


@contextmanager
def locally(sweep: Sweep) -> Iterator[Train]:
    """Workers on this machine, which begin with the first runs and end with the sweep."""
    with ExitStack() as ends:
        started: list[Workers] = []

        def train(runs: Sequence[Planned], most: int) -> None:
            if not started:
                places = seats(sweep.options.device, sweep.options.jobs, most)
                started.append(Workers(places, sweep.directory, sweep.options.argv))
                ends.callback(started[0].close)
                sweep.view.workers = started[0].count
            work_off(
                runs, sweep.board, started[0], sweep.study.runs_dir, sweep.view, sweep.stop,
                partial(write_tables, sweep.board, sweep.directory),
                fail_fast=sweep.options.fail_fast,
            )  # fmt: skip

        yield train


@contextmanager
def on_slurm(sweep: Sweep) -> Iterator[Train]:
    """Jobs of Slurm, which go on without the command."""
    options = sweep.options

    def train(runs: Sequence[Planned], _: int) -> None:
        launch(runs, sweep.study, sweep.board, sweep.directory, sweep.view, options.jobs,
               options.argv)  # fmt: skip
        left = follow(
            runs, sweep.board, sweep.view, sweep.stop, sweep.directory / "slurm",
            partial(write_tables, sweep.board, sweep.directory), fail_fast=options.fail_fast,
        )  # fmt: skip
        if left and not sweep.stop.signals:  # --fail-fast
            sweep.view.note("stopping: the other jobs are cancelled")
            cancel(jobs_of(left))

    yield train


LAUNCHERS: dict[str, Callable[[Sweep], AbstractContextManager[Train]]] = {
    "local": locally,
    "slurm": on_slurm,
}
