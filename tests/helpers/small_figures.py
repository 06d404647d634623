"""Small figures for the tests of drawing: one comes late, one ends its process."""

from __future__ import annotations

import os
import time
from functools import partial

from matplotlib.figure import Figure

from advtrain.report.figures.drawing import Drawing
from advtrain.report.figures.style import figure


@figure
def plot(x: float) -> Figure:
    made = Figure(figsize=(2, 1))
    axes = made.add_axes((0.25, 0.25, 0.5, 0.5), label="test_robust_acc,val_robust_acc")
    axes.plot([1, 10], [0, x])
    axes.set_xlim(0.5, 10.5)
    axes.text(0, 0, "深層 <&>", gid="cell-one")
    return made


def late(x: float) -> Figure:
    """Others are done before it."""
    time.sleep(0.5)
    return plot(x)


def die() -> Figure:
    os._exit(9)


def drawings(n: int) -> list[Drawing]:
    makes = [late, *[plot] * (n - 1)]
    return [Drawing(f"figure-{i}", f"words {i}", partial(makes[i], float(i))) for i in range(n)]
