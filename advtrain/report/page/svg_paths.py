"""SVG paths in few characters: long lines as steps of a fifth of a point."""

from __future__ import annotations

import re

import numpy as np

FINE = 5  # steps to a point
_MANY = 8  # points from which a line is written so
_LINE = re.compile(r"[MLz\d\s.-]+")
_STROKE = re.compile(r"(stroke-width|stroke-dasharray|stroke-dashoffset): ([^;]*)")
_DIGITS = re.compile(r"-?\d+\.\d{3,}")
_NUMBER = re.compile(r"\d+\.?\d*")


def is_line(d: str) -> bool:
    """Whether a path is straight pieces alone, and enough of them to write as steps."""
    return d.count("L") >= _MANY and _LINE.fullmatch(d) is not None


def steps(d: str) -> str:
    """A line in whole steps, to be drawn with `transform="scale(1 / FINE)"`."""
    return "".join(_piece(piece) for piece in d.split("M") if piece.strip())


def _piece(piece: str) -> str:
    """From after its M: a point, then how far to each next one."""
    flat = np.array(piece.replace("L", " ").replace("z", " ").split(), dtype=float)
    points = np.rint(flat.reshape(-1, 2) * FINE).astype(np.int64)
    moves = np.diff(points, axis=0)
    moves = moves[moves.any(axis=1)].ravel()
    written = " ".join(map(str, moves.tolist())).replace(" -", "-") or "0 0"
    return f"M{points[0, 0]} {points[0, 1]}l{written}{'z' if 'z' in piece else ''}"


def widened(style: str) -> str:
    """A stroke as wide as before on what is drawn at that scale."""
    style = style if "stroke-width" in style else f"{style.strip().rstrip(';')}; stroke-width: 1"
    return _STROKE.sub(lambda found: f"{found[1]}: {_NUMBER.sub(_times, found[2])}", style)


def _times(found: re.Match[str]) -> str:
    return f"{float(found[0]) * FINE:g}"


def rounded(text: str) -> str:
    """Numbers to a hundredth."""
    return _DIGITS.sub(lambda found: short(float(found[0])), text)


def short(value: float) -> str:
    """A number to a hundredth, without what says nothing."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")
