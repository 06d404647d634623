"""sweep.csv, a row a run, and cells.csv, a row a cell over its seeds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from advtrain.diagnosis.seeds import wilson
from advtrain.diagnosis.verdict import AXES
from advtrain.store.files import to_csv, write_whole
from advtrain.sweep.board import Board
from advtrain.sweep.plan import Planned

RUN_COLUMNS = ("seed", "state", "converged", "cause", *AXES, "best_robust_acc", "last_robust_acc",
               "best_epoch", "epochs", "seconds", "run_dir", "error")  # fmt: skip
CELL_COLUMNS = ("seeds", "finished", "converged", "not_converged", "undecided", "low", "high",
                "mean_robust_acc", "sd_robust_acc", "min_robust_acc", "max_robust_acc",
                "headline")  # fmt: skip


def write_tables(board: Board, directory: Path) -> tuple[Path, Path]:
    """Both tables, each renamed into place; their paths."""
    runs, cells = directory / "sweep.csv", directory / "cells.csv"
    rows = [[*run.texts, *run_row(run, board).values()] for run in board.runs]
    write_whole(runs, to_csv([*board.keys, *RUN_COLUMNS], rows))
    rows = [[*texts, *cell_row(of, board).values()] for texts, of in board.cells().items()]
    write_whole(cells, to_csv([*board.keys, *CELL_COLUMNS], rows))
    return runs, cells


def run_row(run: Planned, board: Board) -> dict[str, Any]:
    """A row of sweep.csv behind the swept keys."""
    of = board.of(run)
    values = [run.seed, of.state, of.converged, of.cause, *(of.axes.get(name) for name in AXES),
              of.best, of.last, of.best_epoch or None, of.epoch, round(of.seconds, 3),
              run.path, of.error]  # fmt: skip
    return dict(zip(RUN_COLUMNS, values, strict=True))


def cell_row(runs: Sequence[Planned], board: Board) -> dict[str, Any]:
    """A row of cells.csv behind the swept keys; the interval is Wilson's, 95%."""
    outcomes = [board.of(run) for run in runs]
    done = [o for o in outcomes if o.finished]
    verdicts = [o.converged for o in done]
    yes = verdicts.count(True)
    low, high = wilson(yes, len(done)) if done else (None, None)
    known = [o.last for o in done if o.last is not None]
    if len(outcomes) == 1:
        headline = outcomes[0].headline or outcomes[0].error or outcomes[0].state
    else:
        headline = f"{yes} of {len(done)} seeds converge"
        headline += f" ({low:.0%} to {high:.0%})" if done else ""
        if missing := len(outcomes) - len(done):
            headline += f"; {missing} not finished"
    values = [
        len(runs), len(done), yes, verdicts.count(False), verdicts.count(None), low, high,
        statistics.fmean(known) if known else None,
        statistics.stdev(known) if len(known) > 1 else None,
        min(known, default=None), max(known, default=None), headline,
    ]  # fmt: skip
    return dict(zip(CELL_COLUMNS, values, strict=True))


def runs_json(board: Board) -> list[dict[str, Any]]:
    """The runs as `--json` lists them."""
    return [
        {
            "run_dir": str(run.path),
            "state": board.of(run).state,
            "overrides": list(run.overrides),
            "seed": run.seed,
            "headline": board.of(run).headline or None,
        }
        for run in board.runs
    ]
