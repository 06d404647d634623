"""What outcomes look like: a colour, a shape that tells them apart without it, and words."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.path import Path
from matplotlib.textpath import TextPath

from advtrain.report.figures.style import COLOURS
from advtrain.report.input.cells import Cell
from advtrain.report.numbers.outcome import OUTCOMES, counts

_COLOURS = {
    "converged": "true",
    "not_converged": "false",
    "undecided": "null",
    "disagree": "mixed",
    "failed": "failed",
    "unfinished": "waiting",
}


def ink(outcome: str) -> str:
    """The colour of an outcome's shape."""
    return COLOURS[_COLOURS[outcome]]


def fill(outcome: str) -> str:
    """The colour behind it."""
    return COLOURS[f"{_COLOURS[outcome]}_fill"]


def counted(cell: Cell) -> dict[str, int]:
    """How many of a cell's runs ended how, those outcomes that occur."""
    found = counts(cell)
    return {name: found[name] for name in OUTCOMES if found.get(name)}


def in_words(cell: Cell) -> str:
    """The outcomes of a cell's runs."""
    found, runs = counted(cell), len(cell.entries)
    words = {name: OUTCOMES[name][1] for name in found} | {"undecided": "undecided"}
    if runs == 1:
        return "undecided: cannot tell" if "undecided" in found else words[next(iter(found))]
    if len(found) == 1:
        return f"{runs} of {runs} seeds {words[next(iter(found))]}"
    return f"{runs} seeds: {', '.join(f'{n} {words[one]}' for one, n in found.items())}"


def _glyph(text: str) -> Path:
    """A character as a shape around its middle, 2 across at its largest."""
    path = TextPath((0, 0), text, size=10)
    vertices = np.asarray(path.vertices)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    return Path((vertices - (low + high) / 2) * 2 / float((high - low).max()), path.codes)


_SHAPES: dict[str, dict[str, Any]] = {
    "converged": {"marker": Path(np.array([(-1.0, 0.0), (-0.3, -0.75), (1.0, 0.85)])),
                  "markerfacecolor": "none", "markeredgewidth": 2.0},
    "not_converged": {"marker": "x", "markeredgewidth": 2.0},
    "undecided": {"marker": _glyph("?"), "markeredgewidth": 0.6},
    "disagree": {"marker": _glyph("≠"), "markeredgewidth": 0.6},
    "failed": {"marker": _glyph("!"), "markeredgewidth": 1.0},
    "unfinished": {"marker": _glyph("…"), "markeredgewidth": 0.6},
}  # fmt: skip


def shape(outcome: str, size: float = 7.0) -> dict[str, Any]:
    """The keywords of a Line2D that draws an outcome's shape at points, so large in points."""
    style: dict[str, Any] = {
        "linestyle": "none",
        "markersize": size,
        "markeredgecolor": ink(outcome),
        "markerfacecolor": ink(outcome),
        "solid_joinstyle": "miter",
    }
    return style | _SHAPES[outcome]
