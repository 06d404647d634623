"""Few ticks, and the range of an axis: readable whatever the numbers are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

from advtrain.diagnosis.table import Floats

_BEYOND = 4.0  # times the usual height: above it a few values are cut off
_WIDE = 8.0  # from which on a linear axis would show nothing but the highest values
_EXPLODED, _DECADES = 25.0, 100.0  # nats that nobody reports; a range for a logarithmic axis
_LARGEST = 1e300  # of which several times as much is still a number
_FAR = 1000.0  # heights of a panel outside it
_FEW = 0.1  # of the values may be cut off


@dataclass(frozen=True)
class Range:
    """An axis from `low` to `high`, logarithmic or not; `above` says that values lie beyond it."""

    low: float
    high: float
    log: bool = False
    above: bool = False


def loss_range(columns: Sequence[Floats], entropy: float | None = None) -> Range:
    """An axis on which losses can be read, even if a few or many of them explode.

    Few that are far higher than the rest are cut off; of many the axis is logarithmic. `entropy`
    is the loss of guessing, up to which nothing is cut.
    """
    finite = [column[np.isfinite(column)].clip(-_LARGEST, _LARGEST) for column in columns]
    finite = [column for column in finite if len(column)]
    if not finite:
        return Range(0, 1)
    values = np.concatenate(finite)
    least, most = float(values.min()), float(values.max())
    usual = max(abs(float(np.median(column))) for column in finite)
    known = entropy or 0.0
    positive = values[values > 0]
    if most > _EXPLODED and usual > _EXPLODED and most > _DECADES * np.quantile(positive, 0.02):
        return log_range(values, 0.0)
    if most <= max(1.5 * known, _WIDE * usual) or most <= 0:
        low = min(0.0, least)
        return Range(low * 1.05, low + (most - low) * 1.06 if most > low else low + 1)
    limit = max(1.5 * known, _BEYOND * usual)
    if limit > 0 and float(np.mean(values > limit)) <= _FEW:
        return Range(min(0.0, least) * 1.05, limit, above=True)
    return log_range(values, 0.0)


def log_range(values: Floats, least: float = 1e-12) -> Range:
    """A logarithmic axis for what is positive, and not smaller than `least` of the highest."""
    positive = values[np.isfinite(values) & (values > 0)].clip(1 / _LARGEST, _LARGEST)
    if not len(positive):
        return Range(0, 1)
    low, high = float(positive.min()), float(positive.max())
    low = max(low, high * least)
    edge = max((high / low) ** 0.06, 1.02)
    return Range(max(low / edge, 1 / _LARGEST), min(high * edge, _LARGEST), log=True)


def from_zero(values: Floats) -> Range:
    """An axis from 0 up, with some room at both ends."""
    most = min(float(np.nanmax(values)), _LARGEST)
    return Range(-0.05 * most, 1.15 * most or 1.0)


def share_range(columns: Sequence[Floats], floor: float = 0.0) -> Range:
    """An axis of accuracies from 0 to the next round value, at least to `floor`."""
    finite = [column[np.isfinite(column)] for column in columns]
    most = max((float(column.max()) for column in finite if len(column)), default=1.0)
    tops = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0)
    top = next((t for t in tops if max(most, floor) <= 0.97 * t), max(1.0, most))
    return Range(-0.02 * top, 1.03 * top)


def set_y(axes: Axes, shown: Range, *, percent: bool = False, most: int = 4) -> None:
    """The range and at most so many ticks of the vertical axis, with a line across at each.

    Curves that are drawn already and leave the range by far end at some distance from it.
    """
    if shown.log:
        axes.set_yscale("log")
        places = log_ticks(shown.low, shown.high, most)
    else:
        places = linear_ticks(shown.low, shown.high, most)
    axes.set_ylim(shown.low, shown.high)
    _cut(axes, shown)
    axes.yaxis.set_major_locator(FixedLocator(places))
    axes.yaxis.set_minor_locator(NullLocator())
    labels = [f"{100 * v:.4g}" if percent else f"{v:.4g}" for v in places]
    axes.yaxis.set_major_formatter(FixedFormatter(labels))
    axes.grid(axis="y")


def _cut(axes: Axes, shown: Range) -> None:
    """Move points far outside nearer: as numbers of a drawing they would overflow.

    So far outside that what is inside looks the same, however steep a curve leaves.
    """
    low, high = (math.log10(v) if shown.log else v for v in (shown.low, shown.high))
    far = _FAR * (high - low)
    low, high = max(low - far, -_LARGEST), min(high + far, _LARGEST)
    if shown.log:
        low, high = 10 ** max(low, -300.0), 10 ** min(high, 300.0)
    for line in axes.get_lines():
        line.set_ydata(np.clip(np.asarray(line.get_ydata(), float), low, high))
    for band in axes.collections:
        for path in band.get_paths():
            vertices = np.asarray(path.vertices)
            vertices[:, 1] = vertices[:, 1].clip(low, high)


def set_epochs(axes: Axes, first: float, last: float, *, labels: bool) -> None:
    """The range of epochs, which are whole numbers."""
    edge = max(0.02 * (last - first), 0.5)
    axes.set_xlim(first - edge, last + edge)
    if not labels:  # ticks without numbers say little and take a tenth of the time
        axes.xaxis.set_major_locator(NullLocator())
        return
    found = MaxNLocator(5, integer=True).tick_values(first, last)
    places = sorted({*(float(v) for v in found if first < v <= last), float(first)})
    if len(places) > 2 and places[1] - places[0] < 0.5 * (places[2] - places[1]):
        del places[1]
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{v:.0f}" for v in places]))
    axes.set_xlabel("epoch", labelpad=2)


def linear_ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Round values within the range."""
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        return []
    places = MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [0.0 if abs(v) < 1e-12 * (high - low) else float(v) for v in places if low <= v <= high]


def log_ticks(low: float, high: float, most: int = 4) -> list[float]:
    """Powers of ten within the range, or finer steps where there are too few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), tuple(np.arange(1, 10, 0.5).tolist())):
        places = [s * 10.0**e for e in range(first, last + 1) for s in steps]
        places = [v for v in places if low <= v <= high]
        if len(places) >= 2:
            return places[:: math.ceil(len(places) / most)]
    return [float(f"{math.sqrt(low * high):.3g}")]
