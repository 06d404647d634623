"""Any CSV of epochs, one's own or someone else's, to clean columns. Imports no torch.

Handled: percent or fractions, epochs from 0 or 1, several rows of an epoch (after a resume, or
training and validation apart), rows out of order, gaps, extra columns. Refused with a sentence:
what is not a number, an accuracy outside [0, 100%], a negative loss.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from advtrain.config.names import did_you_mean
from advtrain.errors import AdvtrainError
from advtrain.records import COLUMNS
from advtrain.store.csv_cells import Cells, read_cells

Floats = NDArray[np.float64]

_LOSSES = tuple(name for name in COLUMNS if name.endswith(("_loss", "_loss_2x")))
_ACCURACIES = tuple(name for name in COLUMNS if name.endswith("_acc"))
_EVIDENCE = ("fosc_train", "fosc_test", "probe_vanished")
# A verdict rests on these columns alone; the report shows those beside.
_JUDGED = {"epoch", "lr", "eps", *_LOSSES, *_ACCURACIES, *_EVIDENCE}
_BESIDE = ("grad_norm", "weight_norm", "images_per_second", "seconds")

_LAST = 1e15  # epoch; whole numbers beyond it are not exact
_HUGE = 1e30  # nats; a loss beyond it overflows in float32 next, and its powers in ours
_ROUNDING = 1e-3  # by which a mean of hits may exceed 1
_STUCK = 0.98  # of the entropy of K equally frequent labels, which is the loss of guessing
_MANY = 100  # classes; with fewer, guessing gives percentages above 1


@dataclass(frozen=True)
class Curves:
    """Columns by our names, a row an epoch; NaN where not measured or not finite.

    From `bad_epoch` to the end the training loss is not finite. `notes` say how the file was read.
    """

    epoch: NDArray[np.int64]
    columns: dict[str, Floats]
    bad_epoch: int | None
    notes: tuple[str, ...]


def read_curves(
    file: Path, renamed: Mapping[str, str] | None = None, classes: int | None = None
) -> Curves:
    """The curves of a CSV; `renamed` maps our column names to the file's.

    Other columns are found by our names, whatever their case and separators ("Train Robust
    Loss"); one that bears on no verdict is left out where it cannot be read. `classes` helps to
    tell small percentages from fractions. Raises AdvtrainError for what cannot be read, with the
    line.
    """
    return curves_in(read_cells(file), renamed, classes)


def curves_in(
    cells: Cells, renamed: Mapping[str, str] | None = None, classes: int | None = None
) -> Curves:
    """The same of cells that were read already."""
    where = _positions(cells, {k: " ".join(v.split()) for k, v in (renamed or {}).items()})
    if "epoch" in where:  # Lightning's LearningRateMonitor adds rows of lr and step alone
        cells = cells.filled(list(where.values()))
    notes: list[str] = []
    written = _epochs(cells, where.pop("epoch", None), notes)
    table = {name: _numbers(cells, name, at) for name, at in where.items()}
    table |= _fractions(cells, where, table, classes or _MANY, notes)
    table |= _beside(cells, table)
    epoch, row_of = np.unique(written, return_inverse=True)
    if len(epoch) < len(written):
        notes.append(
            f"repeated rows: {len(written) - len(epoch)}; in each column, the last cell of an "
            "epoch that is not empty counts"
        )
    table = {name: _last_filled(values, row_of, len(epoch)) for name, values in table.items()}
    bad = _bad_epoch(epoch, table)
    table = {name: np.where(np.isfinite(v), v, np.nan) for name, v in table.items()}
    return Curves(epoch, table, bad, tuple(notes))


def _positions(cells: Cells, renamed: Mapping[str, str]) -> dict[str, int]:
    """Where each of our columns stands in the file."""
    file, header = cells.file, cells.header
    plain = _plain(header)
    where = {name: plain.index(name) for name in COLUMNS if name in _JUDGED and name in plain}
    twice = [name for name in where if plain.count(name) > 1 and name not in renamed]
    twice += [theirs for theirs in renamed.values() if header.count(theirs) > 1]
    if twice:
        raise AdvtrainError(f"{file}: several columns {twice[0]}; rename all but one")
    for ours, theirs in renamed.items():
        if ours not in COLUMNS:
            near = did_you_mean(ours, COLUMNS) or f"; expected one of {', '.join(COLUMNS)}"
            raise AdvtrainError(f"argument '--columns {ours}={theirs}': no column {ours!r}{near}")
        if theirs not in header:
            near = did_you_mean(theirs, header) or f"; it has {_listed(header)}"
            raise AdvtrainError(f"argument '--columns {ours}={theirs}': not in {file}{near}")
        where[ours] = header.index(theirs)
    if not where.keys() & {*_LOSSES, *_ACCURACIES}:
        curves = (name for name in COLUMNS if name in _LOSSES + _ACCURACIES)
        ours = ", ".join(name for name in curves if not name.startswith(("probe_", "ema_")))
        raise AdvtrainError(
            f"{file}: no column of a loss or an accuracy among {_listed(header)}; name them, as "
            f"in --columns train_robust_loss=COLUMN (ours: {ours}, ...)"
        )
    return where


def _plain(header: Iterable[str]) -> list[str]:
    """Names as ours are written."""
    return [re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") for name in header]


def _listed(names: Iterable[str]) -> str:
    return textwrap.shorten(", ".join(names), 500, placeholder=" ...")


def _epochs(cells: Cells, at: int | None, notes: list[str]) -> NDArray[np.int64]:
    """The epoch of each row."""
    if at is None:
        notes.append("no column epoch: the rows are taken for epochs, in order")
        return np.arange(1, len(cells.rows) + 1)
    written = _numbers(cells, "epoch", at)
    for i, value in enumerate(written):
        if not abs(value) < _LAST or value != round(value):  # NaN, too
            raise cells.error(i, at, "expected a whole number in every row")
    return written.astype(np.int64)


def _numbers(cells: Cells, name: str, at: int) -> Floats:
    """A column, percent signs read; NaN for empty cells, inf for a loss that is not finite."""
    values = np.full(len(cells.rows), np.nan)
    for i, row in enumerate(cells.rows):
        if not row[at]:
            continue
        try:
            value = _number(row[at], percent=name in _ACCURACIES, comma=cells.separator != ",")
        except ValueError:
            raise cells.error(i, at, "expected a number, or nothing if not measured") from None
        if value < 0 and name in _LOSSES:
            raise cells.error(i, at, "a cross-entropy is not negative")
        if name in ("lr", "eps") and (value < 0 or math.isinf(value)):
            raise cells.error(i, at, "expected a finite number from 0 up")
        if name in _LOSSES + _EVIDENCE and not abs(value) <= _HUGE:  # NaN, too
            value = math.inf
        values[i] = value
    return values


def _number(cell: str, *, percent: bool, comma: bool) -> float:
    """What a cell says; ValueError if it is not a number. Decimal commas where none separate."""
    if "_" in cell:  # float() would read 1_0 as 10
        raise ValueError
    number = cell.replace(",", ".") if comma else cell
    if percent and number.endswith("%"):
        return float(number[:-1]) / 100
    return float(number)


def _fractions(
    cells: Cells, where: Mapping[str, int], table: Mapping[str, Floats], classes: int,
    notes: list[str],
) -> dict[str, Floats]:  # fmt: skip
    """The accuracies as fractions: those without percent signs are in one unit, all of them."""
    accuracies = {name: table[name] for name in _ACCURACIES if name in table}
    plain = [name for name in accuracies if not _signed(cells, where[name], table[name])]
    above = [name for name in plain if (table[name] > 1 + _ROUNDING).any()]
    if above:
        notes.append("accuracies are taken for percentages")
        if low := [name for name in plain if name not in above and (table[name] > 0).any()]:
            notes[-1] += f", those of {', '.join(low)} too, which never exceed 1"
        accuracies |= {name: table[name] / 100 for name in plain}
    for name, values in accuracies.items():
        wrong = np.flatnonzero((values < 0) | (values > 1 + _ROUNDING))
        if len(wrong):
            said = "expected an accuracy in [0, 1], or a percentage in [0, 100]"
            raise cells.error(wrong[0], where[name], said)
        accuracies[name] = np.minimum(values, 1)
    for name in plain if not above else []:
        _refuse_percentages_below_1(cells, where, table, name, classes)
    return accuracies


def _signed(cells: Cells, at: int, values: Floats) -> bool:
    """Whether a column is written with percent signs; AdvtrainError if some numbers lack them."""
    rows = np.flatnonzero(np.isfinite(values))
    signs = [cells.rows[i][at].endswith("%") for i in rows]
    if len(set(signs)) > 1:
        said = "write all of this column's cells with a % sign or none"
        raise cells.error(rows[signs.index(not signs[0])], at, said)
    return any(signs)


def _refuse_percentages_below_1(
    cells: Cells, where: Mapping[str, int], table: Mapping[str, Floats], name: str, classes: int
) -> None:
    """Stuck among 100 classes, a network hits 1%; as a fraction, that 1 would be all images.

    So above one half, or above half of guessing's percentage where that is less, the losses may
    not all be those of guessing. Of two classes, every accuracy above one half is near guessing.
    """
    hits, losses = table[name], table.get(name.removesuffix("acc") + "loss", np.array([]))
    hits, losses = hits[np.isfinite(hits)], losses[np.isfinite(losses)]
    if not len(hits) or not len(losses):
        return
    typical, lowest = float(np.median(hits)), float(losses.min())
    suspicious = typical > max(min(0.5, 50 / classes), 2 / classes)
    if suspicious and lowest >= _STUCK * math.log(classes):
        raise AdvtrainError(
            f"{cells.file}: {cells.header[where[name]]}: accuracies of {typical:.2g} beside losses "
            f"of at least {lowest:.3g}, as guessing gives: they look like percentages all below 1; "
            f"write them with a % sign ({typical:.2g}%; if fractions, {100 * typical:.2g}%) or "
            "divide them by 100"
        )


def _beside(cells: Cells, table: Mapping[str, Floats]) -> dict[str, Floats]:
    """The columns that bear on no verdict, those of them that hold numbers."""
    plain, found = _plain(cells.header), {}
    for name in _BESIDE:
        if name not in table and plain.count(name) == 1:
            with suppress(AdvtrainError):
                found[name] = _numbers(cells, name, plain.index(name))
    return found


def _last_filled(values: Floats, row_of: NDArray[np.intp], epochs: int) -> Floats:
    """A column by epoch: the last cell of each that is not empty."""
    found = np.full(epochs, np.nan)
    filled = ~np.isnan(values)
    found[row_of[filled]] = values[filled]  # of equal indices numpy assigns the last
    return found


def _bad_epoch(epoch: NDArray[np.int64], table: Mapping[str, Floats]) -> int | None:
    """The epoch from which to the end no measured training loss is finite.

    Some write nan for what was not measured: an end no longer than an earlier gap is a gap.
    """
    for name in ("train_robust_loss", "train_clean_loss"):
        losses = table.get(name, np.array([]))
        measured = np.flatnonzero(~np.isnan(losses))
        good = np.flatnonzero(np.isfinite(losses[measured]))
        bad = measured[good[-1] + 1 :] if len(good) else measured
        if len(bad) and len(bad) > max(np.diff(good), default=1) - 1:
            return int(epoch[bad[0]])
    return None
