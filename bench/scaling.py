"""How the time of training grows with steps, batch, images and model size: numbers and a figure."""

from __future__ import annotations

import statistics
from dataclasses import replace
from pathlib import Path

from bench import ours
from bench.workloads import WORKLOADS, Workload

FIGURE = Path(__file__).parent.parent / "docs" / "images" / "scaling.svg"
BASE = replace(WORKLOADS["digits"], epochs=1)
_MLP = "{{name: mlp, args: {{width: {}, depth: 2}}}}"

# For each quantity its values, and the workload at each.
SERIES: dict[str, dict[int, Workload]] = {
    "steps": {steps: replace(BASE, steps=steps) for steps in (1, 2, 5, 10, 20, 40)},
    "batch": {
        size: replace(BASE, batch=size, batches=max(1, 1280 // size))
        for size in (16, 32, 64, 128, 256, 512, 1024)
    },
    "images": {count: replace(BASE, batches=count // 128) for count in (640, 1280, 2560, 5120)},
    "parameters": {
        64 * width + width * width + 10 * width: replace(BASE, model=_MLP.format(width))
        for width in (64, 128, 256, 512, 1024, 2048)
    },
}
LABELS = {
    "steps": ("steps of the attack", "seconds for 1,000 images"),
    "batch": ("batch size", "seconds for 1,000 images"),
    "images": ("images of an epoch", "seconds of an epoch"),
    "parameters": ("parameters of a two-layer MLP", "seconds for 1,000 images"),
}


def one_round() -> dict[str, float]:
    """Seconds of one epoch of advtrain at every value, by `<series>/<value>`."""
    return {
        f"{name}/{value}": ours.one_round(workload)["seconds"]
        for name, points in SERIES.items()
        for value, workload in points.items()
    }


def _plain(value: float, _: object) -> str:
    """A tick's label: `0.05`, `640`, `1M`."""
    return (
        f"{value / 1e6:.2g}M"
        if value >= 1e6
        else f"{value / 1e3:.3g}k"
        if value >= 1e4
        else f"{value:g}"
    )


def draw(rounds: list[dict[str, float]]) -> None:
    """docs/images/scaling.svg: the median of the rounds, on logarithmic axes."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "advtrain"  # equal figures are equal files
    from matplotlib import pyplot, ticker

    figure, axes = pyplot.subplots(1, len(SERIES), figsize=(13, 3.2), layout="constrained")
    for axis, (name, points) in zip(axes, SERIES.items(), strict=True):
        values = list(points)
        seconds = [statistics.median(r[f"{name}/{value}"] for r in rounds) for value in values]
        if name != "images":
            counts = [points[value].count for value in values]
            seconds = [s / count * 1000 for s, count in zip(seconds, counts, strict=True)]
        axis.loglog(values, seconds, "o-")
        axis.set(xlabel=LABELS[name][0], ylabel=LABELS[name][1])
        axis.xaxis.set_major_locator(ticker.FixedLocator(values))
        for each in (axis.xaxis, axis.yaxis):
            each.set_major_formatter(ticker.FuncFormatter(_plain))
            each.set_minor_locator(ticker.NullLocator())
        axis.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.tick_params("x", rotation=45)
        axis.grid(alpha=0.3)
    figure.savefig(FIGURE, metadata={"Date": None})
