"""Several seeds in numbers: curves with their band, and the accuracies that summarise a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advtrain.diagnosis.table import Floats
from advtrain.report.input.gather import Entry
from advtrain.report.numbers.outcome import VERDICTS, of_entry

Moment = Callable[[Entry, str], float | None]

_HUGE = 2.0**500  # a power of two: to divide by it rounds nothing
FEW = 5  # seeds from which a standard deviation says more than the extremes


@dataclass(frozen=True)
class SeedBand:
    """A column over the epochs, several seeds together; NaN where none has measured it.

    `low` and `high` are the extremes of fewer than 5 seeds, else mean -+ sd (of n - 1); where
    only one seed has a value they equal it. `count` is how many have one.
    """

    epoch: NDArray[np.int64]
    mean: Floats
    low: Floats
    high: Floats
    count: NDArray[np.int64]
    kind: str  # "min-max" or "sd"


def band(entries: Sequence[Entry], column: str) -> SeedBand | None:
    """The seeds' values of a column by epoch, or None if nobody measured it."""
    known = []
    for entry in entries:
        if entry.result.table is not None and column in entry.columns:
            values = entry.columns[column]
            finite = np.isfinite(values)
            known.append((entry.result.table.epoch[finite], values[finite]))
    known = [pair for pair in known if len(pair[0])]
    if not known:
        return None
    epoch = np.unique(np.concatenate([pair[0] for pair in known]))
    values = np.full((len(known), len(epoch)), np.nan)
    for row, (at, found) in zip(values, known, strict=True):
        row[np.searchsorted(epoch, at)] = found
    scale = _HUGE if np.nanmax(np.abs(values)) > _HUGE else 1.0  # or squares would overflow
    values /= scale
    mean, low, high = np.nanmean(values, 0), np.nanmin(values, 0), np.nanmax(values, 0)
    count = np.isfinite(values).sum(0)
    few = len(known) < FEW
    if not few:
        sums = np.nansum((values - mean) ** 2, 0)
        sd = np.sqrt(sums / np.maximum(count - 1, 1))
        low, high = mean - sd, mean + sd
    most = np.finfo(float).max / scale
    mean, low, high = (scale * ends.clip(-most, most) for ends in (mean, low, high))
    return SeedBand(epoch, mean, low, high, count, "min-max" if few else "sd")


@dataclass(frozen=True)
class Summary:
    """One figure over seeds; `sd` (of n - 1) needs two of them."""

    values: tuple[float | None, ...]  # an entry each, None where not measured
    seeds: int  # that have it
    mean: float | None
    sd: float | None
    least: float | None
    most: float | None


def summary(values: Sequence[float | None]) -> Summary:
    """Mean and spread of what is known."""
    known = [value for value in values if value is not None]
    return Summary(
        tuple(values),
        len(known),
        mean=float(np.mean(known)) if known else None,
        sd=float(np.std(known, ddof=1)) if len(known) > 1 else None,
        least=min(known, default=None),
        most=max(known, default=None),
    )


def over(entries: Sequence[Entry], moment: Moment, column: str) -> Summary:
    """A moment's figure over the finished runs; over those there are where none has finished."""
    judged = [of_entry(entry) in VERDICTS.values() for entry in entries]
    counted = judged if any(judged) else [True] * len(judged)
    return summary(
        [moment(e, column) if c else None for e, c in zip(entries, counted, strict=True)]
    )


def final(entry: Entry, column: str) -> float | None:
    """The last weights' value on all images where that is known, else in the last epoch.

    None where the last epoch was not finite, whatever came before it.
    """
    table = entry.result.table
    if table is None or table.bad_epoch is not None:
        return None
    return entry.final[column] if column in entry.final else last(entry, column)


def last(entry: Entry, column: str) -> float | None:
    """The latest measured value."""
    known = _known(entry, column)
    return float(known[1][-1]) if known else None


def best(entry: Entry, column: str) -> float | None:
    """The value in the epoch that was best on validation."""
    epoch, known = best_epoch(entry), _known(entry, column)
    if epoch is None or known is None:
        return None
    at = np.flatnonzero(known[0] == epoch)
    return float(known[1][at[0]]) if len(at) else None


def best_epoch(entry: Entry) -> int | None:
    """The epoch that validation chose; of a foreign CSV the one with the highest val accuracy."""
    if entry.best_epoch is not None:
        return entry.best_epoch
    table = entry.result.table
    if table is None or table.config is not None:
        return None
    known = _known(entry, f"val_{table.kind}_acc")
    return int(known[0][np.argmax(known[1])]) if known else None


def oracle(entry: Entry, column: str) -> tuple[int, float] | None:
    """Epoch and value of a test accuracy's peak, which nobody can choose without the test set."""
    known = _known(entry, column)
    if known is None:
        return None
    at = int(np.argmax(known[1]))
    return int(known[0][at]), float(known[1][at])


def _known(entry: Entry, column: str) -> tuple[NDArray[np.int64], Floats] | None:
    """Epochs and values where a column was measured; None where it never was."""
    table = entry.result.table
    if table is None or column not in entry.columns:
        return None
    values = entry.columns[column]
    finite = np.isfinite(values)
    return (table.epoch[finite], values[finite]) if finite.any() else None


def student(freedom: float) -> float:
    """The 97.5% quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))
