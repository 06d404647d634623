"""Small charts of text, for the end of a run in a terminal."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

from rich.text import Text

_STYLES = ("cyan", "bold magenta")
_MARKS = ("·", "●")
_ASCII_MARKS = (".", "o")


def chart(
    title: str,
    series: Mapping[str, Sequence[float]],
    *,
    percent: bool = False,
    width: int = 28,
    height: int = 7,
    ascii_only: bool = False,
) -> Text:
    """Up to two series over the epochs, the later one on top; values that are NaN leave gaps.

    Each column shows the mean of its epochs. `percent` labels fractions as percentages.
    """
    marks = _ASCII_MARKS if ascii_only else _MARKS
    columns = {name: _squeezed(values, width) for name, values in series.items()}
    finite = [v for values in columns.values() for v in values if math.isfinite(v)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 1.0)
    cells: list[list[tuple[str, str]]] = [[(" ", "")] * width for _ in range(height)]
    for (_, values), mark, style in zip(columns.items(), marks, _STYLES, strict=False):
        for x, value in enumerate(values):
            if math.isfinite(value):
                share = (value - low) / (high - low) if high > low else 0.5
                cells[round((1 - share) * (height - 1))][x] = (mark, style)
    text = Text(f"{'':7}{title}  ", style="bold")
    for name, mark, style in zip(series, marks, _STYLES, strict=False):
        text.append(f"{mark} {name}  ", style=style)
    axis = "|" if ascii_only else "│"
    numbers = [f"{v:.0%}" if percent else f"{v:.3g}" for v in (high, low)]
    labels = {0: numbers[0], height - 1: numbers[1]}
    for y, row in enumerate(cells):
        text.append(f"\n{labels.get(y, ''):>6} {axis}", style="dim")
        for mark, style in row:
            text.append(mark, style=style)
    return text


def _squeezed(values: Sequence[float], width: int) -> list[float]:
    """Means of the values that fall into each of `width` columns; few values spread out."""
    if not values:
        return []
    if len(values) <= width:
        return [values[i * len(values) // width] for i in range(width)]
    edges = [i * len(values) // width for i in range(width + 1)]
    parts = [values[a:b] for a, b in itertools.pairwise(edges)]
    finite = [[v for v in part if math.isfinite(v)] for part in parts]
    return [sum(part) / len(part) if part else math.nan for part in finite]
