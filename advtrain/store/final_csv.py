"""final.csv: the last weights on all images of each held-out split. Imports no torch."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import astuple, fields
from pathlib import Path

from advtrain.records import SplitScore
from advtrain.store.files import to_csv

FILE = "final.csv"
COLUMNS = tuple(field.name for field in fields(SplitScore))


def to_bytes(found: Iterable[SplitScore]) -> bytes:
    """The file's content."""
    return to_csv(COLUMNS, [astuple(one) for one in found])


def read_final(run: Path) -> dict[str, SplitScore]:
    """A run's scores by split; none of a run that is not finished, is older, or is damaged."""
    try:
        with (run / FILE).open(newline="", encoding="utf-8") as lines:
            rows = [_score(row) for row in csv.DictReader(lines)]
    except (OSError, csv.Error, ValueError, KeyError, TypeError):
        return {}
    return {score.split: score for score in rows}


def _score(row: dict[str, str]) -> SplitScore:
    values = [float(row[name]) for name in COLUMNS[2:]]
    return SplitScore(row["split"], int(row["images"]), *values)
