"""A map's cells as a figure: patches in rows and columns, the labels of its axes around them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from advtrain.report.figures.layout import HALF, LINE, fit, text_width, write
from advtrain.report.figures.style import COLOURS, SIZE, SMALL
from advtrain.report.input.cells import Cell, Map
from advtrain.report.input.labels import plain

NARROW, TALL = 0.62, 0.66  # a cell in inches, where there is little room
ROOMY = 9  # columns up to which there is more
_LONGEST = 2.0  # inches for a label
_GAP = 0.035  # between cells


@dataclass(frozen=True)
class CellGrid:
    """A figure with room for a map; `left` and `top` are its first cell's corner, in inches."""

    figure: Figure
    map: Map
    left: float
    top: float
    wide: float
    tall: float

    def __iter__(self) -> Iterator[tuple[float, float, Cell]]:
        """The lower left corner of each cell that there is."""
        for i, row in enumerate(self.map.cells):
            for j, cell in enumerate(row):
                if cell is not None:
                    yield self.left + j * self.wide, self.top - (i + 1) * self.tall, cell

    def patch(self, x: float, y: float, cell: Cell, colour: str) -> None:
        """A cell's background, by whose gid the page finds it."""
        self.figure.add_artist(Rectangle(
            (x + _GAP / 2, y + _GAP / 2), self.wide - _GAP, self.tall - _GAP, facecolor=colour,
            edgecolor=COLOURS["muted"], linewidth=0.5, transform=self.figure.dpi_scale_trans,
            gid=f"cell-{cell.id}", zorder=1,
        ))  # fmt: skip


def grid(
    map: Map, title: str, wide: float, tall: float, below: Callable[[float], float]
) -> CellGrid:
    """The figure with title and labels; `below(width)` is the room for what comes under it."""
    rows = map.rows.labels if map.rows else ("",)
    labels = [fit(plain(map.rows.shown[label] if map.rows else label), _LONGEST) for label in rows]
    left = 0.2 + max(map_width(labels), 0.2) + (0.32 if map.rows else 0.0)
    names = [fit(plain(label), _LONGEST, SMALL) for label in map.columns.shown.values()]
    upright = max(text_width(name, SMALL) for name in names) > wide - 0.06
    room = max(text_width(name, SMALL) for name in names) + 0.12 if upright else 0.28
    width = max(left + len(names) * wide + 0.25, HALF)
    head = 0.36 + (LINE if map.heading else 0.0)
    height = head + room + 0.26 + len(rows) * tall + below(width)
    figure = Figure(figsize=(width, height))
    top = height - head - room - 0.26
    made = CellGrid(figure, map, left, top, wide, tall)
    write(figure, 0.14, height - 0.2, fit(title, width - 0.28, SIZE + 1), SIZE + 1)
    if map.heading:
        write(figure, 0.14, height - 0.2 - LINE, fit(map.heading, width - 0.28), colour="muted")
    middle = left + len(names) * wide / 2
    write(figure, middle, height - head - 0.13, fit(plain(map.columns.name), width - left),
          ha="center")  # fmt: skip
    for j, name in enumerate(names):
        write(figure, left + (j + 0.5) * wide, top + 0.07, name, SMALL, ha="center", va="bottom",
              rotation=90 if upright else 0)  # fmt: skip
    for i, label in enumerate(labels):
        write(figure, left - 0.1, top - (i + 0.5) * tall, label, SMALL, ha="right")
    if map.rows:
        axis = fit(plain(map.rows.name), max(len(rows) * tall, 0.6))
        write(figure, 0.2, top - len(rows) * tall / 2, axis, ha="center", rotation=90)
    return made


def map_width(labels: list[str]) -> float:
    """The widest of some labels."""
    return max((text_width(label, SMALL) for label in labels), default=0.0)


def in_rows(map: Map, say: Callable[[Cell], str]) -> str:
    """A map in words, row by row; cells of which there is nothing to say are left out."""
    rows = [f"{map.rows.name} {label}: " for label in map.rows.shown.values()] if map.rows else [""]
    columns, found = [*map.columns.shown.values()], []
    for name, cells in zip(rows, map.cells, strict=True):
        said = [f"{label} {text}" for label, cell in zip(columns, cells, strict=True)
                if cell and (text := say(cell))]  # fmt: skip
        found.append(name + ", ".join(said))
    return "; ".join(found)
