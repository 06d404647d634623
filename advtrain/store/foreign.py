"""Any CSV of epochs, one's own or someone else's, to clean columns. Imports no torch.

Handled: percent or fractions, epochs from 0 or 1, repeated rows after a resume (the last counts),
rows out of order, extra columns. Refused with a sentence: what is not a number, an accuracy
outside [0, 100%], a negative loss.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from advtrain.config.names import did_you_mean
from advtrain.diagnosis.table import Floats
from advtrain.errors import AdvtrainError
from advtrain.records import COLUMNS

_LARGEST = 200_000_000  # bytes
_LAST = 1e15  # epoch; whole numbers beyond it are not exact


@dataclass(frozen=True)
class Curves:
    """Columns by our names, a row an epoch; `bad_epoch`: from which the training loss is NaN."""

    epoch: np.ndarray
    columns: dict[str, Floats]
    bad_epoch: int | None
    notes: tuple[str, ...]


def read_curves(file: Path, renamed: Mapping[str, str] | None = None) -> Curves:
    """The curves of a CSV; `renamed` maps our column names to the file's.

    Other columns are found by our names, whatever their case and separators ("Train Robust
    Loss"). Raises AdvtrainError for what cannot be read, with the line.
    """
    header, rows = _rows(file)
    where = _positions(file, header, renamed or {})
    measured = [name for name in where if name.endswith(("_loss", "_acc", "_loss_2x"))]
    if not measured:
        raise AdvtrainError(
            f"{file}: no column of a loss or an accuracy among {', '.join(header)}; name them, as "
            f"in --columns train_robust_loss=COLUMN (ours: {', '.join(COLUMNS[4:18])}, ...)"
        )
    table = {name: _numbers(file, rows, name, header[at], at) for name, at in where.items()}
    notes: list[str] = []
    if "epoch" not in table:
        notes.append("no column epoch: the rows are taken for epochs, in order")
    written = table.pop("epoch", np.arange(1.0, len(rows) + 1))
    whole = np.isfinite(written) & (written == np.round(written)) & (np.abs(written) < _LAST)
    if not whole.all():
        raise AdvtrainError(f"{file}: column epoch: expected whole numbers in every row")
    epoch = written.astype(np.int64)
    keep = _last_of_each(epoch)
    if len(keep) < len(epoch):
        notes.append(f"{len(epoch) - len(keep)} repeated rows: the last of each epoch counts")
    table = {name: values[keep] for name, values in table.items()}
    bad = _bad_epoch(epoch[keep], table)
    table = {name: np.where(np.isfinite(v), v, np.nan) for name, v in table.items()}
    return Curves(epoch[keep], _fractions(file, table, notes), bad, tuple(notes))


def _rows(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and the cells of each row with its line."""
    try:
        if file.stat().st_size > _LARGEST:
            raise AdvtrainError(f"{file}: {file.stat().st_size} bytes: not a CSV of epochs")
        text = file.read_text(encoding="utf-8-sig")
        first = text.split("\n", 1)[0]
        separator = max(",;\t", key=first.count)
        reader = csv.reader(text.splitlines(), delimiter=separator, strict=True)
        header = [cell.strip() for cell in next(reader, [])]
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except FileNotFoundError:
        raise AdvtrainError(f"{file}: no such file or folder") from None
    except UnicodeDecodeError:
        raise AdvtrainError(f"{file}: not a text file") from None
    except (OSError, csv.Error) as error:
        raise AdvtrainError(f"{file}: cannot be read as CSV: {error}") from None
    if not rows:
        raise AdvtrainError(f"{file}: no epochs in it yet: expected a header and a row an epoch")
    for line, row in rows:
        if len(row) != len(header):
            raise AdvtrainError(
                f"{file}:{line}: {len(row)} cells where the header has {len(header)}"
            )
    return header, rows


def _positions(file: Path, header: list[str], renamed: Mapping[str, str]) -> dict[str, int]:
    """Where each of our columns stands in the file."""
    plain = [_plain(name) for name in header]
    where = {name: plain.index(name) for name in COLUMNS if name in plain}
    twice = [name for name in where if plain.count(name) > 1 and name not in renamed]
    twice += [theirs for theirs in renamed.values() if header.count(theirs) > 1]
    if twice:
        raise AdvtrainError(f"{file}: several columns {twice[0]}; rename all but one")
    for ours, theirs in renamed.items():
        if ours not in COLUMNS:
            near = did_you_mean(ours, COLUMNS) or f"; expected one of {', '.join(COLUMNS)}"
            raise AdvtrainError(f"argument '--columns {ours}={theirs}': no column {ours!r}{near}")
        if theirs not in header:
            near = did_you_mean(theirs, header) or f"; it has {', '.join(header)}"
            raise AdvtrainError(f"argument '--columns {ours}={theirs}': not in {file}{near}")
        where[ours] = header.index(theirs)
    return where


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _numbers(
    file: Path, rows: list[tuple[int, list[str]]], name: str, theirs: str, at: int
) -> Floats:
    """A column; NaN for empty cells, inf for numbers that are not finite, percent signs read."""
    values = np.full(len(rows), np.nan)
    for i, (line, row) in enumerate(rows):
        cell = row[at].strip()
        if not cell:
            continue
        percent = cell.endswith("%")
        try:
            value = float(cell.rstrip("% "))
        except ValueError:
            raise AdvtrainError(f"{file}:{line}: {theirs}: not a number: {cell[:40]!r}") from None
        values[i] = (value / 100 if percent else value) if math.isfinite(value) else math.inf
    if name.endswith("_loss") and (values < 0).any():
        line = rows[int(np.argmax(values < 0))][0]
        raise AdvtrainError(f"{file}:{line}: {theirs}: a cross-entropy is not negative")
    return values


def _last_of_each(epoch: np.ndarray) -> np.ndarray:
    """Positions of the last row of each epoch, in the order of epochs."""
    _, last = np.unique(epoch[::-1], return_index=True)
    return np.asarray(len(epoch) - 1 - last)


def _bad_epoch(epoch: np.ndarray, table: Mapping[str, Floats]) -> int | None:
    """The epoch from which to the end the training loss is a number that is not finite."""
    for name in ("train_robust_loss", "train_clean_loss"):
        losses = table.get(name)
        if losses is not None and np.isinf(losses[-1]):
            return int(epoch[np.flatnonzero(np.append(False, ~np.isinf(losses)))[-1]]
                       if not np.isinf(losses).all() else epoch[0])  # fmt: skip
    return None


def _fractions(file: Path, table: dict[str, Floats], notes: list[str]) -> dict[str, Floats]:
    """Accuracies as fractions: all in percent if any is above 1."""
    accuracies = {name: values for name, values in table.items() if name.endswith("_acc")}
    highest = max((float(np.nanmax(v)) for v in accuracies.values() if np.isfinite(v).any()),
                  default=0.0)  # fmt: skip
    lowest = min((float(np.nanmin(v)) for v in accuracies.values() if np.isfinite(v).any()),
                 default=0.0)  # fmt: skip
    if highest > 100 or lowest < 0:
        raise AdvtrainError(
            f"{file}: an accuracy of {highest if highest > 100 else lowest:g}: expected fractions "
            "in [0, 1] or percentages in [0, 100]"
        )
    if highest <= 1:
        return table
    notes.append("accuracies are taken for percentages")
    return table | {name: values / 100 for name, values in accuracies.items()}
