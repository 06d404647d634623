"""How every figure looks: the colours by name, the settings, and that names stay as written."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec

from matplotlib import rc_context
from matplotlib.figure import Figure

# Each is used for one thing and written differently from all others, so that the page can
# exchange it for another theme's. Lines stand out 3:1 from white and differ for colour-blind eyes
# (after Okabe and Ito 2008), as text 4.5:1.
COLOURS = {
    "ink": "#1b1f24",
    "muted": "#5a6470",
    "grid": "#e3e6ea",
    "paper": "#ffffff",
    "train": "#c2520c",
    "val": "#00805c",
    "test": "#0069a8",
    "single_step": "#8a4a9e",
    "reference": "#6f7680",
    "window": "#dfebf6",
    "chance": "#7b6a00",
    "side_a": "#0d67a3",
    "side_b": "#bd4f10",
    "true": "#00754f",
    "false": "#b3410a",
    "null": "#4f5b68",
    "failed": "#8f2480",
    "waiting": "#6b7480",
    "mixed": "#7a5c00",
    "true_fill": "#c9ecdf",
    "false_fill": "#fad9c8",
    "null_fill": "#dde2e8",
    "failed_fill": "#f0d4ec",
    "waiting_fill": "#f6f7f9",
    "mixed_fill": "#fbeeb8",
    "on_light": "#000001",  # text on a colour map, the same in every theme
    "on_dark": "#fffffe",
}
SIZE, SMALL = 10.0, 9.0  # points

_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": SIZE,
    "text.color": COLOURS["ink"],
    "text.parse_math": False,
    "axes.unicode_minus": False,
    "axes.facecolor": "none",
    "axes.edgecolor": COLOURS["muted"],
    "axes.labelcolor": COLOURS["ink"],
    "axes.linewidth": 0.8,
    "axes.titlesize": SIZE,
    "axes.titlelocation": "left",
    "axes.titlepad": 5.0,
    "axes.titley": 1.0,  # fixed: to find free room takes a tenth of the time
    "path.simplify_threshold": 0.2,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "axes.axisbelow": True,
    "axes.xmargin": 0.0,
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "xtick.labelcolor": COLOURS["ink"],
    "ytick.labelcolor": COLOURS["ink"],
    "grid.color": COLOURS["grid"],
    "grid.linewidth": 0.8,
    "figure.facecolor": COLOURS["paper"],
    "lines.solid_capstyle": "round",
    "hatch.linewidth": 0.8,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "ps.fonttype": 42,  # the PDF backend splits a font by this one; two take twice as long
}

P = ParamSpec("P")


@contextmanager
def styled(**settings: str) -> Iterator[None]:
    """Within it figures are made and saved in the report's style; names may lack a glyph."""
    logger = logging.getLogger("matplotlib")
    before = logger.level
    rc: Any = _RC | settings
    with rc_context(rc), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.setLevel(before)


def figure(make: Callable[P, Figure]) -> Callable[P, Figure]:
    """A function that makes a figure in the report's style."""

    @wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with styled():
            return make(*args, **kwargs)

    return made
