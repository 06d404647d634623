"""What is marked on curves: the verdict's epochs, segments, best and last epochs, the peak."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from advtrain.diagnosis.segments import phases
from advtrain.diagnosis.table import Floats
from advtrain.report.figures.style import COLOURS, SMALL
from advtrain.report.figures.ticks import set_epochs
from advtrain.report.input.cells import Cell
from advtrain.report.input.gather import Entry
from advtrain.report.numbers.over_seeds import best, best_epoch, last, oracle

Curve = tuple[NDArray[np.int64], Floats]  # epochs and values

CHANCE: dict[str, Any] = {"color": COLOURS["chance"], "linestyle": (0, (1, 2)), "linewidth": 1.3}
START: dict[str, Any] = {"color": COLOURS["muted"], "linestyle": (0, (1, 2.5)), "linewidth": 1.0}
BAD: dict[str, Any] = {"color": COLOURS["failed"], "linestyle": "solid", "linewidth": 1.2}
_BEHIND = {"facecolor": COLOURS["paper"], "alpha": 0.85, "linewidth": 0, "pad": 1.5}
_TRAIN_BAR = 0.025  # height of the mark of the train window, of its panel
_KNOWN: dict[str, Any] = {"linestyle": "none", "color": COLOURS["ink"], "zorder": 5}
BEST = _KNOWN | {"marker": "D", "markersize": 6, "markerfacecolor": COLOURS["paper"],
                 "markeredgewidth": 1.4}  # fmt: skip
LAST = _KNOWN | {"marker": "o", "markersize": 5.5, "markeredgecolor": COLOURS["paper"],
                 "markeredgewidth": 0.7}  # fmt: skip
ORACLE = _KNOWN | {"marker": "^", "markersize": 7, "markerfacecolor": "none", "zorder": 4,
                   "color": COLOURS["muted"], "markeredgewidth": 1.3}  # fmt: skip


def windows(axes: Axes, cell: Cell, kind: str, what: str) -> None:
    """The epochs that the verdicts looked at, on the panels that they looked at; the segments.

    Seeds that ended at different epochs were judged on different ones: all are marked.
    """
    table = cell.lead.result.table
    if table is None:
        return
    if kind == table.kind:
        for first, last in judged_epochs(cell, "held_out"):
            axes.axvspan(first - 0.5, last + 0.5, facecolor=COLOURS["window"],
                         linewidth=0, zorder=0, label="held-out window")  # fmt: skip
        for first, last in judged_epochs(cell, "train") if what == "loss" else ():
            axes.axvspan(first - 0.5, last + 0.5, 0, _TRAIN_BAR, facecolor=COLOURS["train"],
                         linewidth=0, zorder=2, label="train window")  # fmt: skip
    segments(axes, cell)
    if what == "loss":
        verticals(axes, bad_epochs(cell), "not finite", BAD)


def judged_epochs(cell: Cell, axis: str) -> list[tuple[int, int]]:
    """First and last epoch that an axis was judged on, each pair once, over the seeds."""
    found = [entry.result.verdict.axes[axis] for entry in cell.entries]
    return sorted({one.epochs for one in found if one.epochs and one.state != "nonfinite"})


def bad_epochs(cell: Cell) -> list[int]:
    """The epochs in which a seed's loss or weights were first not finite."""
    tables = [entry.result.table for entry in cell.entries]
    return sorted({t.bad_epoch for t in tables if t is not None and t.bad_epoch is not None})


def segments(axes: Axes, cell: Cell) -> None:
    """Where each segment but the first begins."""
    table = cell.lead.result.table
    if table is not None:
        starts = [float(table.epoch[row]) - 0.5 for row in phases(table).starts[1:]]
        verticals(axes, starts, "segment starts", START)


def span(cell: Cell) -> tuple[float, float] | None:
    """First and last epoch of all seeds; None without epochs."""
    tables = [e.result.table for e in cell.entries if e.result.table is not None]
    if not tables:
        return None
    return float(min(t.epoch[0] for t in tables)), float(max(t.epoch[-1] for t in tables))


def epochs(
    cell: Cell, rows: Sequence[tuple[Axes, Axes]], more: NDArray[np.int64] | None = None
) -> None:
    """The same epochs on all panels, `more` among them, numbered below the last row."""
    shown = span(cell)
    if shown is None:
        return
    if more is not None and len(more):
        shown = min(shown[0], float(more[0])), max(shown[1], float(more[-1]))
    for i, pair in enumerate(rows):
        for axes in pair:
            set_epochs(axes, *shown, labels=i == len(rows) - 1)


def drawn_curves(entries: Sequence[Entry], names: Iterable[str]) -> list[Curve]:
    """Every seed's epochs and values of these columns, where it has them."""
    return [
        (entry.result.table.epoch, entry.columns[name])
        for entry in entries
        for name in names
        if entry.result.table is not None and name in entry.columns
    ]


def verticals(axes: Axes, places: Sequence[float], label: str, style: dict[str, Any]) -> None:
    """Lines from bottom to top, all in one."""
    if places:
        x = np.repeat(np.array(places, float), 3)
        y = np.tile([0.0, 1.0, np.nan], len(places))
        axes.add_line(Line2D(x, y, transform=axes.get_xaxis_transform(), label=label, zorder=1.2,
                             **style))  # fmt: skip


def say_above(axes: Axes, drawn: Sequence[Curve], *, percent: bool = False) -> None:
    """How high the highest value lies that the axis leaves out."""
    epoch = np.concatenate([epochs for epochs, _ in drawn])
    values = np.concatenate([np.where(np.isfinite(y), y, -math.inf) for _, y in drawn])
    at, most = int(epoch[values.argmax()]), float(values.max())
    said = f"{100 * most:{'.0f' if 1 <= most < 1e6 else '.3g'}}%" if percent else f"{most:.3g}"
    left = 2 * at > epoch.min() + epoch.max()  # the words stand away from the arrow's curve
    axes.text(0.02 if left else 0.98, 0.97, f"↑ beyond: up to {said} in epoch {at}",
              transform=axes.transAxes, ha="left" if left else "right", va="top",
              fontsize=SMALL, color=COLOURS["failed"], zorder=6, bbox=_BEHIND)  # fmt: skip


def marks(axes: Axes, entries: Sequence[Entry], column: str) -> None:
    """Each seed's best epoch on validation, its last, and its peak, which is nobody's choice."""
    found: dict[str, list[tuple[float, float]]] = {"oracle": [], "best": [], "last": []}
    for entry in entries:
        peak, end, chosen = oracle(entry, column), last(entry, column), best(entry, column)
        table, epoch = entry.result.table, best_epoch(entry)
        if peak:
            found["oracle"].append(peak)
        if chosen is not None and epoch is not None:
            found["best"].append((epoch, chosen))
        if table is not None and end is not None:
            known = np.flatnonzero(np.isfinite(entry.columns[column]))
            found["last"].append((float(table.epoch[known[-1]]), end))
    for name, style in (("oracle", ORACLE), ("best", BEST), ("last", LAST)):
        if found[name]:
            x, y = zip(*found[name], strict=True)
            axes.add_line(Line2D(x, y, label=name, clip_on=False, **style))
