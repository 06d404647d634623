"""Where a refined sweep found its key to converge, on the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.lines import Line2D

from advtrain.config.expressions import number
from advtrain.report.figures.grids import CellGrid
from advtrain.report.figures.style import COLOURS
from advtrain.report.input.cells import Map, MapAxis

Bands = Sequence[Mapping[str, str]]  # rows of bands.csv
Bracket = tuple[int, int, int]  # row of the map, first and last column

_FIELDS = {"key", "low", "high", "below", "above", "seeds", "epochs", "values", "undecided",
           "others", "text"}  # fmt: skip  # the other columns are keys of the sweep


def brackets(map: Map, bands: Bands) -> list[Bracket]:
    """The bands along the map's columns, each in the row it is about."""
    return [found for row in bands if (found := _bracket(map, row))]


def _bracket(map: Map, band: Mapping[str, str]) -> Bracket | None:
    if band.get("key") != map.columns.name:
        return None
    low, high = (_position(map.columns, band.get(end) or "") for end in ("low", "high"))
    others = {key: value for key, value in band.items() if key not in _FIELDS}
    for i, cells in enumerate(map.cells):
        at = next((cell.at for cell in cells if cell is not None), {})
        if all(key not in at or _same(value, at[key]) for key, value in others.items()):
            return None if low is None or high is None else (i, low, high)
    return None


def _position(axis: MapAxis, value: str) -> int | None:
    return next((i for i, label in enumerate(axis.labels) if _same(label, value)), None)


def _same(a: str, b: str) -> bool:
    try:
        return bool(np.isclose(number(a), number(b), rtol=1e-9, atol=0))
    except ValueError:
        return a == b


def draw_bracket(made: CellGrid, bracket: Bracket) -> None:
    """A line with turned-up ends along the lower edge of the cells from first to last column."""
    row, first, last = bracket
    low, high = made.left + first * made.wide + 0.06, made.left + (last + 1) * made.wide - 0.06
    y = made.top - (row + 1) * made.tall + 0.055
    made.figure.add_artist(Line2D(
        [low, low, high, high], [y + 0.07, y, y, y + 0.07], color=COLOURS["ink"], linewidth=2.0,
        solid_joinstyle="miter", zorder=4, label="band", transform=made.figure.dpi_scale_trans,
    ))  # fmt: skip
