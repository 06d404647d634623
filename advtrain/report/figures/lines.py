"""Curves over the epochs: each seed thin, the mean thick, a band between; gaps stay gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray

from advtrain.diagnosis.table import Floats
from advtrain.report.figures.layout import Key
from advtrain.report.figures.style import COLOURS, SIZE
from advtrain.report.input.gather import Entry
from advtrain.report.numbers.over_seeds import SeedBand, band

SPLITS = ("train", "val", "test")
# A colour and a dash each, so that they differ in grey, too.
LINES: dict[str, dict[str, Any]] = {
    "train": {"color": COLOURS["train"], "linestyle": (0, (5, 1.6, 1.2, 1.6)), "linewidth": 1.7},
    "val": {"color": COLOURS["val"], "linestyle": (0, (3.2, 1.6)), "linewidth": 1.7},
    "test": {"color": COLOURS["test"], "linestyle": "solid", "linewidth": 2.0},
}
BAND_ALPHA = 0.2
_THIN = {"linewidth": 0.7, "linestyle": "solid", "alpha": 0.55}
_MOST = 1000  # more than a panel has pixels across


def draw_band(axes: Axes, entries: Sequence[Entry], column: str, style: dict[str, Any]
              ) -> SeedBand | None:  # fmt: skip
    """A column of one or several seeds; None if nobody measured it."""
    found = band(entries, column)
    if found is None:
        return None
    if int(found.count.max()) > 1:
        axes.add_collection(_polygon(found, style["color"], column), autolim=False)
        line(axes, *_seeds(entries, column), label=f"{column} seeds",
             **style | _THIN)  # fmt: skip
    line(axes, *gapped(found.epoch, found.mean), label=column, **style)
    return found


def line(axes: Axes, x: Floats, y: Floats, **style: Any) -> Line2D:
    """A line with gaps where y is NaN; a point alone between gaps is a dot."""
    x, y = _thinned(x, y)
    known = np.isfinite(y)
    beside = np.r_[False, known[:-1]] | np.r_[known[1:], False]
    alone = np.flatnonzero(known & ~beside)
    if len(alone):
        style |= {"marker": "o", "markersize": 3.5, "markevery": alone.tolist()}
    made = Line2D(x, y, **style)
    axes.add_line(made)
    return made


def _thinned(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """The line itself; of very many points those that its panel has pixels for.

    Of each pixel the first, the lowest and the highest are kept, so that no spike is lost.
    """
    if len(x) <= 3 * _MOST:
        return x, y
    size = -(-len(x) // _MOST)
    starts = np.arange(0, len(x), size)
    padded = np.append(y, np.full(-len(y) % size, np.nan)).reshape(-1, size)
    low = starts + np.where(np.isfinite(padded), padded, np.inf).argmin(axis=1)
    high = starts + np.where(np.isfinite(padded), padded, -np.inf).argmax(axis=1)
    kept = np.unique(np.concatenate([starts, low, high, np.flatnonzero(np.isnan(y))]))
    return x[kept], y[kept]


def gapped(epoch: NDArray[np.int64], values: Floats) -> tuple[Floats, Floats]:
    """Known epochs and values, with a NaN wherever epochs are left out.

    What is measured every fifth epoch has no gap at the four between.
    """
    known = np.isfinite(values)
    x, y = epoch[known].astype(float), values[known]
    cut = _cuts(x)
    return np.insert(x, cut, np.nan), np.insert(y, cut, np.nan)


def _cuts(x: Floats) -> NDArray[np.int64]:
    steps = np.diff(x)
    if not len(steps):
        return np.zeros(0, np.int64)
    usual = np.median(steps)
    regular = np.mean(steps == usual) > 0.5
    return np.flatnonzero(regular & (steps > 1.5 * usual)) + 1


def _seeds(entries: Sequence[Entry], column: str) -> tuple[Floats, Floats]:
    """Every seed's curve in one line, a gap between them: one artist is drawn faster than many."""
    xs: list[Floats] = []
    ys: list[Floats] = []
    for entry in entries:
        if entry.result.table is not None and column in entry.columns:
            x, y = gapped(entry.result.table.epoch, entry.columns[column])
            if len(x):
                xs += [x, np.array([np.nan])]
                ys += [y, np.array([np.nan])]
    return np.concatenate(xs[:-1]), np.concatenate(ys[:-1])


def _polygon(found: SeedBand, colour: str, column: str) -> FillBetweenPolyCollection:
    """The band between its edges; of very many epochs the widest of each pixel."""
    cut = _cuts(found.epoch.astype(float))
    x, low, high = (np.insert(values.astype(float), cut, np.nan)
                    for values in (found.epoch, found.low, found.high))  # fmt: skip
    if len(x) > _MOST:
        starts = np.arange(0, len(x), -(-len(x) // _MOST))
        low, high = np.fmin.reduceat(low, starts), np.fmax.reduceat(high, starts)
        x = np.fmax.reduceat(x, starts)
    return FillBetweenPolyCollection(
        "x", x, low, high, where=np.isfinite(x).tolist(), facecolor=colour, alpha=BAND_ALPHA,
        linewidth=0, label=f"{column} band", zorder=1,
    )  # fmt: skip


def band_key(bands: Sequence[SeedBand]) -> list[Key]:
    """What the bands are; nothing of a single seed."""
    counts = [int(n) for one in bands for n in (one.count.min(), one.count.max())]
    if not counts or max(counts) < 2:
        return []
    least, most = min(counts), max(counts)
    seeds = f"{most}" if least == most else f"{least} to {most}"
    kind = {"min-max": "min to max", "sd": "mean ± sd"}[bands[0].kind]
    if any(one.kind != bands[0].kind for one in bands):
        kind = "min to max or mean ± sd"
    return [Key(f"n = {seeds} seeds, band {kind}", fill=COLOURS["reference"], alpha=0.35)]


def say(axes: Axes, text: str) -> None:
    """Words in place of curves."""
    axes.xaxis.set_major_locator(NullLocator())  # unless it numbers the epochs for others
    axes.yaxis.set_visible(False)
    axes.set_ylim(0, 1)
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center",
              color=COLOURS["muted"], fontsize=SIZE)  # fmt: skip
