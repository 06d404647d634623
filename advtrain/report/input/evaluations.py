"""What `advtrain evaluate` measured of a run, as far as it counts. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from advtrain.errors import AdvtrainError
from advtrain.store.evaluation_csv import EvaluationRow, read_evaluations


def evaluations_of(run: Path) -> tuple[tuple[EvaluationRow, ...], tuple[str, ...]]:
    """The rows of a run's evaluation.csv that count, and notes on what does not."""
    name = f"{run.name}/evaluation.csv"
    try:
        rows = read_evaluations(run)
    except AdvtrainError as error:
        return (), (f"{run.name}/{str(error).removeprefix(f'{run}/')}",)
    sound = [row for row in rows if _in_range(row)]
    current, earlier = _of_current_weights(sound)
    notes = []
    if bad := len(rows) - len(sound):
        notes.append(f"{name}: {bad} of {len(rows)} rows are out of range, left out")
    if earlier:
        notes.append(
            f"{name}: {earlier} of {len(rows)} rows are of earlier weights of the same checkpoint, "
            "left out"
        )
    return tuple(current), tuple(notes)


def _in_range(row: EvaluationRow) -> bool:
    return 0 <= row.accuracy <= 1 and 0 < row.images < 2**53 and min(row.eps, row.se) >= 0


def _of_current_weights(rows: Sequence[EvaluationRow]) -> tuple[list[EvaluationRow], int]:
    """The rows of each checkpoint's newest weights, and how many others there are.

    What has other weights is added to the end of the file, so the last row's are the newest.
    """
    newest = {(row.checkpoint, row.weights): row.sha for row in rows}
    current = [row for row in rows if newest[row.checkpoint, row.weights] == row.sha]
    return current, len(rows) - len(current)
