"""Where things stand on a figure, in inches: halves, panels, keys, text that has to fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from advtrain.report.figures.style import COLOURS, SIZE, SMALL

HALF = 4.8  # width of a column of panels; a page may show the two halves below each other
MARGIN, EDGE = 0.62, 0.18  # of a half: left of the panels for numbers, right of them
LINE = 0.215  # height of a line of text
TITLE, FOOT = 0.34, 0.5  # above a panel, below the last
_SAMPLE, _GAP = 0.34, 0.09  # of a key: its line, and the space on both sides of its text
_HIGHEST_DPI = 72.0


@dataclass(frozen=True)
class Key:
    """An entry of a legend: its words beside a piece of line, or a filled box."""

    text: str
    line: dict[str, Any] = field(default_factory=dict)
    fill: str | None = None
    alpha: float | None = None


@lru_cache(maxsize=8192)
def text_width(text: str, size: float = SIZE) -> float:
    """Width of a line of text in inches."""
    width, _, _ = text_to_path.get_text_width_height_descent(
        text, FontProperties(family="DejaVu Sans", size=size), False
    )
    return float(width) / _HIGHEST_DPI


def fit(text: str, width: float, size: float = SIZE) -> str:
    """The text, cut with an ellipsis if it is wider than so many inches."""
    if len(text) < 4000 and text_width(text, size) <= width:
        return text
    low, high = 0, min(len(text), 400)
    while low < high:
        middle = (low + high + 1) // 2
        if text_width(text[:middle].rstrip() + "…", size) <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip() + "…"


def flow(keys: Sequence[Key], width: float) -> list[list[Key]]:
    """The keys in as many lines as they need."""
    lines: list[list[Key]] = [[]]
    used = 0.0
    for key in keys:
        needs = key_width(key)
        if lines[-1] and used + needs > width:
            lines.append([])
            used = 0.0
        lines[-1].append(key)
        used += needs
    return lines if lines[-1] else lines[:-1]


def key_width(key: Key) -> float:
    """The room that a key takes."""
    return _SAMPLE + text_width(key.text, SMALL) + 3 * _GAP


def write(
    figure: Figure, x: float, y: float, text: str, size: float = SIZE, colour: str = "ink",
    **more: Any,
) -> Text:  # fmt: skip
    """A line of text at inches from the left and the bottom."""
    more.setdefault("va", "center")
    return figure.text(x, y, text, transform=figure.dpi_scale_trans, fontsize=size,
                       color=COLOURS[colour], **more)  # fmt: skip


def draw_keys(figure: Figure, lines: Sequence[Sequence[Key]], x: float, top: float) -> None:
    """Lines of keys, the first one's middle half a line below `top`."""
    for row, keys in enumerate(lines):
        y, at = top - (row + 0.5) * LINE, x
        for key in keys:
            _sample(figure, key, at, y)
            write(figure, at + _SAMPLE + _GAP, y, key.text, SMALL)
            at += key_width(key)


def _sample(figure: Figure, key: Key, x: float, y: float) -> None:
    inches = figure.dpi_scale_trans
    if key.fill is not None:
        figure.add_artist(Rectangle((x, y - 0.055), _SAMPLE, 0.11, transform=inches,
                                    facecolor=key.fill, alpha=key.alpha, linewidth=0))  # fmt: skip
    if key.line:
        one = key.line.get("linestyle") == "none"  # a mark stands in the middle
        xs = [x + _SAMPLE / 2] if one else [x, x + _SAMPLE]
        figure.add_artist(Line2D(xs, [y] * len(xs), transform=inches, **key.line))


def sheet(heights: Sequence[float], head: float, title: float = TITLE
          ) -> tuple[Figure, list[tuple[Axes, Axes]]]:  # fmt: skip
    """A figure of two halves with rows of panels so high, below a head of so many inches."""
    height = head + sum(heights) + len(heights) * title + FOOT
    figure = Figure(figsize=(2 * HALF, height))
    rows, top = [], height - head
    for tall in heights:
        top -= title + tall
        left, right = (
            figure.add_axes((
                (half * HALF + MARGIN) / (2 * HALF), top / height,
                (HALF - MARGIN - EDGE) / (2 * HALF), tall / height,
            ))
            for half in (0, 1)
        )  # fmt: skip
        for axes in (left, right):  # fixed places: to find free ones takes a tenth of the time
            axes.xaxis.set_label_coords(0.5, -0.27 / tall)
            axes.yaxis.set_label_coords(-0.5 / (HALF - MARGIN - EDGE), 0.5)
        rows.append((left, right))
    return figure, rows


def head_height(*halves: Sequence[Sequence[Key]]) -> float:
    """The room for a title and the halves' keys."""
    return 0.38 + LINE * max((len(lines) for lines in halves), default=0)


def draw_head(
    figure: Figure, titles: tuple[str, str], halves: tuple[Sequence[Sequence[Key]], ...]
) -> None:
    """A title and keys at the top of each half, none of them wider than it."""
    top = float(figure.get_size_inches()[1]) - 0.08
    for half, (title, lines) in enumerate(zip(titles, halves, strict=True)):
        x = half * HALF + 0.14
        write(figure, x, top - 0.13, fit(title, HALF - 0.3, SIZE + 1), SIZE + 1)
        draw_keys(figure, lines, x, top - 0.28)
