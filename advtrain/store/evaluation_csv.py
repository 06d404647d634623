"""evaluation.csv: a row for each attack on a run's weights; and what an evaluation has so far.

Imports no torch.
"""

from __future__ import annotations

import contextlib
import csv
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypedDict

from filelock import FileLock, Timeout

from advtrain.config.json_file import read_object
from advtrain.errors import AdvtrainError, Busy
from advtrain.store.files import to_csv, write_whole

FILE, PARTIAL = "evaluation.csv", "evaluation.partial.json"
_APART = "; "  # between the warnings of a row


@dataclass(frozen=True)
class EvaluationRow:
    """Accuracy under an attack, a fraction, with its standard error. The columns of the file."""

    checkpoint: str  # best, last, or a file
    epoch: int | None  # None of a foreign file
    weights: str  # model or ema
    norm: str
    eps: float
    attack: str
    images: int
    accuracy: float
    se: float
    seconds: float
    warnings: tuple[str, ...]
    sha: str  # 8 hex digits of the weights

    @property
    def key(self) -> tuple[object, ...]:
        """What a later row of the same replaces."""
        return (self.checkpoint, self.sha, self.weights, self.norm, self.eps, self.attack,
                self.images)  # fmt: skip

    def cells(self) -> list[str]:
        """The cells of the CSV; floats in full, so that reading gives the same number."""
        text = {"epoch": "" if self.epoch is None else str(self.epoch),
                "warnings": _APART.join(self.warnings)}  # fmt: skip
        return [text.get(name, str(getattr(self, name))) for name in COLUMNS]


COLUMNS = tuple(f.name for f in fields(EvaluationRow))


@dataclass(frozen=True)
class EvaluationResult:
    """The rows of one run at one eps."""

    path: Path
    rows: tuple[EvaluationRow, ...]

    def to_json(self) -> dict[str, Any]:
        """An element of `evaluate --json`."""
        shared = ("checkpoint", "epoch", "weights", "norm", "eps", "images")
        own = ("attack", "accuracy", "se", "seconds")
        return {
            "path": str(self.path),
            **{name: getattr(self.rows[0], name) for name in shared},
            "attacks": [
                {name: getattr(row, name) for name in own} | {"warnings": list(row.warnings)}
                for row in self.rows
            ],
        }


def read_evaluations(run: Path) -> list[EvaluationRow]:
    """The rows of a run's evaluation.csv, none if it has none; AdvtrainError if it is damaged."""
    file = run / FILE
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            return [_row(cells) for cells in csv.DictReader(lines, restval="")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise AdvtrainError(f"{file}: cannot be read: {error.strerror}") from None
    except (csv.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AdvtrainError(
            f"{file}: cannot be read ({type(error).__name__}: {error}); move it away to begin anew"
        ) from None


def _row(cells: dict[str, str]) -> EvaluationRow:
    row = EvaluationRow(
        checkpoint=cells["checkpoint"],
        epoch=int(cells["epoch"]) if cells["epoch"] else None,
        weights=cells["weights"],
        norm=cells["norm"],
        eps=float(cells["eps"]),
        attack=cells["attack"],
        images=int(cells["images"]),
        accuracy=float(cells["accuracy"]),
        se=float(cells["se"]),
        seconds=float(cells["seconds"]),
        warnings=tuple(cells["warnings"].split(_APART)) if cells["warnings"] else (),
        sha=cells["sha"],
    )
    if not all(map(math.isfinite, (row.eps, row.accuracy, row.se, row.seconds))):
        raise ValueError("a number that is not finite")
    return row


def merge_evaluations(run: Path, new: Iterable[EvaluationRow]) -> None:
    """Put rows into evaluation.csv: in place of those of the same key, others stay."""
    rows = {row.key: row for row in (*read_evaluations(run), *new)}
    write_whole(run / FILE, to_csv(COLUMNS, [row.cells() for row in rows.values()]))


class StageState(TypedDict):
    """How far a stage is: batches done, and `1` for each image that is resisted so far."""

    done: int
    flags: str
    seconds: float


Stages = dict[str, StageState]


def read_partial(run: Path, key: str) -> Stages:
    """The stages of an evaluation that was cut off; none if it was not."""
    return _all(run).get(key, {})


def write_partial(run: Path, key: str, stages: Stages) -> None:
    """Note how far an evaluation is; others that were cut off stay."""
    write_whole(run / PARTIAL, json.dumps(_all(run) | {key: stages}).encode())


def drop_partial(run: Path, keys: Iterable[str]) -> None:
    """Forget evaluations, whose rows are in evaluation.csv."""
    gone = set(keys)
    if rest := {key: stages for key, stages in _all(run).items() if key not in gone}:
        write_whole(run / PARTIAL, json.dumps(rest).encode())
    else:
        (run / PARTIAL).unlink(missing_ok=True)


def _all(run: Path) -> dict[str, Stages]:
    """Every evaluation that was cut off; AdvtrainError if the file is damaged."""
    file = run / PARTIAL
    found = read_object(file)
    if found is None or not all(map(_sound, found.values())):
        raise AdvtrainError(f"{file}: cannot be read; delete it, and the evaluation begins anew")
    return found


def _sound(stages: Any) -> bool:
    return isinstance(stages, dict) and all(
        isinstance(stage, dict)
        and isinstance(stage.get("done"), int)
        and isinstance(stage.get("seconds"), int | float)
        and isinstance(stage.get("flags"), str)
        and not stage["flags"].strip("01")
        for stage in stages.values()
    )


@contextlib.contextmanager
def evaluating(run: Path) -> Iterator[None]:
    """Keep other evaluations from a run; Busy if one is at it. Its training is not concerned."""
    lock = FileLock(run / ".evaluation.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise Busy(f"{run}: another process is evaluating this run") from None
    except OSError as error:
        raise AdvtrainError(f"{run}: cannot be written: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()
