"""metrics.csv: one row an epoch, the columns of `EpochRecord`. Imports no torch."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING

from advtrain.errors import AdvtrainError
from advtrain.records import COLUMNS, EpochRecord, Row

if TYPE_CHECKING:
    import pandas as pd

CURVE_COLUMNS = ("eps", "robust_loss", "robust_acc", "images")  # of curve_eps.csv


def read_rows(file: Path, last_epoch: int) -> list[Row]:
    """The cells of epochs 1 to `last_epoch`, unchanged; AdvtrainError if one is not there.

    Rows beyond it were written before their checkpoint was: they are left out and made again.
    Columns that an older version did not have are empty.
    """
    try:
        with file.open(newline="") as lines:
            found = list(csv.DictReader(lines))
    except FileNotFoundError:
        found = []
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise AdvtrainError(f"{file}: cannot be read: {error}") from None
    rows = [[row.get(name) or "" for name in COLUMNS] for row in found]
    if [row[0] for row in rows[:last_epoch]] != [str(n + 1) for n in range(last_epoch)]:
        raise AdvtrainError(
            f"{file}: expected the rows of epochs 1 to {last_epoch}, which last.pt beside it has "
            "behind it; restore the file, or move the directory away to start afresh"
        )
    try:
        for row in rows[:last_epoch]:
            EpochRecord.of_row(row)
    except ValueError as error:
        raise AdvtrainError(f"{file}: epoch {row[0]}: {error}") from None
    return rows[:last_epoch]


def read_records(file: Path) -> list[EpochRecord]:
    """All rows as records; none if the file is not there or cannot be read."""
    try:
        with file.open(newline="") as lines:
            found = list(csv.DictReader(lines))
        return [EpochRecord.of_row([row.get(name) or "" for name in COLUMNS]) for row in found]
    except (OSError, csv.Error, ValueError, TypeError):
        return []


def read_frame(file: Path) -> pd.DataFrame:
    """All rows as a DataFrame; NaN where not measured."""
    import pandas as pd

    return pd.read_csv(file)
