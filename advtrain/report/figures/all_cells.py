"""All cells beside each other: final and best robust accuracy, every seed a dot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator

from advtrain.report.figures.layout import LINE, Key, draw_keys, fit, flow, text_width, write
from advtrain.report.figures.marks import CHANCE
from advtrain.report.figures.style import COLOURS, SIZE, SMALL, figure
from advtrain.report.figures.ticks import linear_ticks, share_range
from advtrain.report.input.cells import Cell
from advtrain.report.input.gather import Entry
from advtrain.report.numbers.over_seeds import best, final, over

COLUMN = "test_robust_acc"
_WIDTH, _ROW, _HIGHEST = 6.6, 0.27, 22.0  # inches
_LONGEST = 2.6  # of a label
_LAST: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 4.5,
                         "color": COLOURS["test"], "markeredgewidth": 0}  # fmt: skip
_BEST: dict[str, Any] = {"linestyle": "none", "marker": "D", "markersize": 4.5,
                         "markerfacecolor": "none", "markeredgecolor": COLOURS["val"],
                         "markeredgewidth": 1.1}  # fmt: skip
_MEAN: dict[str, Any] = {"linestyle": "none", "marker": "|", "markersize": 11,
                         "markeredgewidth": 2.0, "markeredgecolor": COLOURS["ink"],
                         "zorder": 1.9}  # fmt: skip  # behind the dots
_MOMENTS: tuple[tuple[str, Callable[[Entry, str], float | None], dict[str, Any], float], ...] = (
    ("best on validation", best, _BEST, 0.18),
    ("last epoch", final, _LAST, -0.18),
)


@figure
def overview(cells: Sequence[Cell], sides: bool = False) -> Figure:
    """A row a cell, from the top as they come: each seed's test robust accuracy, and the mean.

    `sides` puts A or B before the labels. Of very many cells not all are named.
    """
    row = min(_ROW, _HIGHEST / len(cells))
    thin = -(-LINE * 0.85 // row)  # every so many are named
    labels = [fit(_label(cell, sides), _LONGEST, SMALL) for cell in cells]
    left = 0.3 + max(text_width(label, SMALL) for label in labels)
    keys = flow([Key("last epoch", _LAST), Key("mean of the last epoch", _MEAN),
                 Key("best on validation", _BEST), Key("chance", CHANCE)],
                _WIDTH - 0.3)  # fmt: skip
    head, foot = 0.45 + LINE * len(keys), 0.55
    height = head + foot + row * len(cells)
    made = Figure(figsize=(_WIDTH, height))
    write(made, 0.14, height - 0.2, "Test robust accuracy of every cell", SIZE + 1)
    draw_keys(made, keys, 0.14, height - 0.36)
    axes = made.add_axes((left / _WIDTH, foot / height, (_WIDTH - left - 0.25) / _WIDTH,
                          row * len(cells) / height))  # fmt: skip
    axes.set_ylim(len(cells) - 0.5, -0.5)
    _dots(axes, cells)
    named = [i for i in range(len(cells)) if i % int(thin) == 0]
    axes.yaxis.set_major_locator(FixedLocator(named))
    axes.yaxis.set_major_formatter(FixedFormatter([labels[i] for i in named]))
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("%", labelpad=2)
    return made


def _dots(axes: Axes, cells: Sequence[Cell]) -> None:
    """Both moments, a little apart, with the mean of the last one; chance where all share it."""
    every: list[float] = []
    for name, moment, style, shift in _MOMENTS:
        points = [
            (value, i - shift)
            for i, cell in enumerate(cells)
            for value in over(cell.entries, moment, COLUMN).values
            if value is not None
        ]
        every += [value for value, _ in points]
        axes.plot([v for v, _ in points], [y for _, y in points], label=name, **style)  # fmt: skip
    means = [(over(cell.entries, final, COLUMN).mean, i)
             for i, cell in enumerate(cells)]  # fmt: skip
    known = [(value, i) for value, i in means if value is not None]
    axes.plot([v for v, _ in known], [i - _MOMENTS[1][3] for _, i in known], label="mean", **_MEAN)
    chances = {table.labels.majority for cell in cells
               if (table := cell.lead.result.table) is not None and table.labels}  # fmt: skip
    if len(chances) == 1:
        axes.axvline(chances.pop(), label="chance", **CHANCE)
    shown = share_range([np.array(every)])
    axes.set_xlim(shown.low, shown.high)
    places = linear_ticks(shown.low, shown.high, 6)
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{100 * v:.4g}" for v in places]))
    axes.grid(axis="x")
    if not every:
        axes.text(0.5, 0.5, "test_robust_acc: not measured", transform=axes.transAxes,
                  ha="center", va="center", color=COLOURS["muted"])  # fmt: skip


def _label(cell: Cell, sides: bool) -> str:
    return f"{'AB'[cell.side]}: {cell.label}" if sides else cell.label


def overview_alt(cells: Sequence[Cell], sides: bool = False) -> str:
    """The best and the worst cell in words."""
    means = {_label(cell, sides): over(cell.entries, final, COLUMN).mean for cell in cells}
    known = sorted(((v, label) for label, v in means.items() if v is not None), reverse=True)
    if not known:
        return f"Test robust accuracy of {len(cells)} cells: not measured."
    (most, highest), (least, lowest) = known[0], known[-1]
    return (f"Test robust accuracy of {len(cells)} cells in the last epoch, mean over seeds: from "
            f"{100 * least:.1f}% ({lowest}) to {100 * most:.1f}% ({highest}).")  # fmt: skip
