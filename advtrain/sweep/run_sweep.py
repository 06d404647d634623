"""A sweep from its plan to its tables."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advtrain.errors import AdvtrainError, RunFailed
from advtrain.store.files import write_whole
from advtrain.store.run_status import is_run
from advtrain.store.writer import clear, hold
from advtrain.sweep.bands import Refinement, bands, next_points, read_refinement, write_bands
from advtrain.sweep.board import Board
from advtrain.sweep.launch.choose import LAUNCHERS, Options, Sweep, Train
from advtrain.sweep.launch.slurm_submit import check_slurm
from advtrain.sweep.launch.work_off import stoppable
from advtrain.sweep.plan import Planned, Study, plan, sweep_directory
from advtrain.sweep.sweep_tables import runs_json, write_tables
from advtrain.sweep.taken_up import check_taken_up
from advtrain.sweep.view import View, watching


@dataclass(frozen=True)
class SweepResult:
    """What a sweep leaves: its board, tables and bands, and whether a signal ended it."""

    board: Board
    study: Study
    tables: tuple[Path, Path]
    bands: list[dict[str, Any]] | None
    interrupted: bool

    @property
    def exit_code(self) -> int:
        """1 if a run failed, now or earlier."""
        return int(bool(self.board.failures()))

    def to_json(self) -> dict[str, Any]:
        """The object of `advtrain sweep --json`; `bands` only where they were asked for."""
        result: dict[str, Any] = {
            "sweep_csv": str(self.tables[0]),
            "cells_csv": str(self.tables[1]),
            "runs": runs_json(self.board),
            "failed": len(self.board.failures()),
        }
        return result if self.bands is None else result | {"bands": self.bands}


def run_sweep(study: Study, options: Options) -> SweepResult:
    """Train the grid's runs that are not finished, and those that a refinement adds."""
    wanted = refinement(study, options)
    grid = plan(study)
    if options.launcher == "slurm":
        check_slurm(grid[0].config.slurm, options.device)
    untold = check_taken_up(grid, anew=options.rerun == "all")
    directory = sweep_directory(study, grid, wanted.key if wanted else None)
    board = Board(study.keys)
    _write_plan(study, grid, options, directory)
    _take_in(board, grid, options)
    with stoppable() as stop, watching(board, study.axes) as view:
        for text in untold:
            view.warn(text)
        _introduce(board, options, view)
        at_work = Sweep(study, board, options, directory, view, stop)
        with LAUNCHERS[options.launcher](at_work) as train:
            _rounds(at_work, grid, wanted, train)
    board.look_again()
    tables = write_tables(board, directory)
    found = bands(board, wanted) if wanted else None
    if found is not None:
        write_bands(found, study.keys, directory)
    return SweepResult(board, study, tables, found, bool(stop.signals))


def refinement(study: Study, options: Options) -> Refinement | None:
    """What --refine asks for."""
    if options.refine is None:
        if options.budget is not None:
            raise AdvtrainError(f"argument '--budget {options.budget}': it is about --refine KEY")
        return None
    return read_refinement(study, options.refine, options.budget)


def _take_in(board: Board, runs: Sequence[Planned], options: Options) -> list[Planned]:
    """Put runs on the board, emptied first under --rerun all; those that are to be trained."""
    if options.rerun == "all":
        there = [run for run in runs if run.path not in board.outcomes and is_run(run.path)]
        for run in there:  # all of them, before the first loses its files
            with hold(run.path):
                pass
        for run in there:
            clear(run.path)
    return to_train(board, board.add(runs), options)


def to_train(board: Board, runs: Sequence[Planned], options: Options) -> list[Planned]:
    """Those not finished; what failed by an exception only on request.

    Then only what failed or was cut off.
    """
    if options.rerun == "failed":
        cut_off = ("interrupted", "stale")
        return [r for r in runs if board.of(r).failed or board.of(r).state in cut_off]
    return [r for r in runs if not board.of(r).finished and board.of(r).state != "failed"]


def _rounds(sweep: Sweep, grid: Sequence[Planned], wanted: Refinement | None, train: Train) -> None:
    """The grid, then what the refinement asks for, until it asks for nothing."""
    board, options = sweep.board, sweep.options
    todo = to_train(board, board.runs, options)
    write_tables(board, sweep.directory)
    while not sweep.stop.now:
        if todo:
            train(todo, len(board.runs if wanted else todo))
        points = next_points(board, wanted, grid) if wanted and not sweep.stop.now else []
        if not points:
            return
        try:
            further = plan(sweep.study, points)
            check_taken_up(further, anew=options.rerun == "all")
        except AdvtrainError as error:  # the grid's values were valid, one between them is not
            sweep.view.note(f"the refinement ends here: {error}")
            return
        todo = _take_in(board, further, options)


def _introduce(board: Board, options: Options, view: View) -> None:
    """What there is, and what is to be done; what failed before or has lost files."""
    todo = {run.path for run in to_train(board, board.runs, options)}
    finished = sum(o.finished for o in board.outcomes.values())
    view.note(f"sweep of {len(board.runs)} runs: {finished} finished, {len(todo)} to train")
    for run in board.runs:
        of = board.of(run)
        if of.state == "failed" and run.path not in todo:
            view.note(
                f"failed earlier: {run.title}: {of.error}; {run.path}/log.txt "
                "(--rerun failed repeats it)"
            )
        elif of.finished and of.cause == "unjudged":
            view.note(f"no verdict: {run.title}: {of.headline.partition(': ')[2]}; {run.path}")


def _write_plan(study: Study, runs: Sequence[Planned], options: Options, directory: Path) -> None:
    """sweep.json: the command and the grid, for who reads the sweep later."""
    content = {
        "argv": list(options.argv),
        "config": str(study.file),
        "runs_dir": str(study.runs_dir),
        "axes": [
            {"keys": axis.names, "points": [[v.text for v in point] for point in axis.points]}
            for axis in study.axes
        ],
        "seeds": list(dict.fromkeys(run.seed for run in runs)),
        "refine": options.refine,
        "budget": options.budget,
        "runs": [run.path.name for run in runs],
    }
    try:
        write_whole(directory / "sweep.json", json.dumps(content, indent=1).encode())
    except RunFailed as error:  # nothing has begun
        raise AdvtrainError(str(error)) from None
