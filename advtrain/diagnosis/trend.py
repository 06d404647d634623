"""Is a noisy curve rising, falling or flat? Theil-Sen slopes with a 90% interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advtrain.diagnosis import rules
from advtrain.diagnosis.table import Floats, Numbers


@dataclass(frozen=True)
class Trend:
    """Change of a curve over a window of epochs with its 90% interval, and the noise around it."""

    change: float
    low: float
    high: float
    noise: float  # sd around the line
    autocorrelation: float  # lag 1, of that noise
    points: int

    def against(self, matters: float) -> str:
        """`falling`, `rising`, `flat`, or `unresolved` where the interval spans two of them."""
        if self.high < -matters:
            return "falling"
        if self.low > matters:
            return "rising"
        if -matters <= self.low and self.high <= matters:
            return "flat"
        return "unresolved"

    def points_to_resolve(self, matters: float) -> int | None:
        """About how many epochs would make the interval as wide as what matters; None: too many.

        The interval of the change over a window narrows with the square root of its epochs.
        """
        times = max(1.0, (self.high - self.low) / matters) ** 2
        return math.ceil(self.points * times) if times <= rules.NEEDED_MOST else None

    def numbers(self, level: float, matters: float) -> Numbers:
        """What an axis reports of it."""
        return {
            "level": level,
            "change": self.change,
            "low": self.low,
            "high": self.high,
            "matters": matters,
            "noise": self.noise,
            "autocorrelation": self.autocorrelation,
            "points": self.points,
        }


def trend(x: Floats, y: Floats) -> Trend | None:
    """The trend of y over x, both finite and x ascending; None below 5 points.

    The slope is the median of all pairwise slopes (Theil 1950, Sen 1968), its interval from the
    variance of Kendall's S (Sen 1968, eq. 2.6), widened for autocorrelation by the factor that
    AR(1) noise gives the variance of a least-squares slope.
    """
    n = len(x)
    if n < rules.SHORTEST_SINCE_JUMP:
        return None
    first, second = np.triu_indices(n, 1)
    slopes = np.sort((y[second] - y[first]) / (x[second] - x[first]))
    slope = float(np.median(slopes))
    residuals = y - slope * x
    residuals = residuals - np.median(residuals)
    rho = _autocorrelation(residuals)
    spread = rules.CONFIDENCE_Z * np.sqrt(n * (n - 1) * (2 * n + 5) / 18 * _inflation(n, rho))
    ranks = (len(slopes) - np.array([spread, -spread])) / 2 + np.array([-1, 0])
    low, high = np.interp(ranks, np.arange(len(slopes)), slopes)
    span = float(x[-1] - x[0])
    noise = float(np.sqrt(np.mean(residuals**2) * n / max(1, n - 2)))
    return Trend(slope * span, float(low) * span, float(high) * span, noise, rho, n)


def _autocorrelation(residuals: Floats) -> float:
    """Lag 1, corrected for the bias of short series and drawn towards what curves usually show."""
    n, power = len(residuals), float(residuals @ residuals)
    if power == 0 or n <= rules.SHORTEST_SINCE_JUMP:
        return rules.PRIOR_AUTOCORRELATION
    raw = float(residuals[1:] @ residuals[:-1]) / power
    unbiased = min(max((n * raw + rules.SHORT_SERIES_BIAS) / (n - 4), 0.0), 0.8)
    weight = rules.PRIOR_WEIGHT
    return (n * unbiased + weight * rules.PRIOR_AUTOCORRELATION) / (n + weight)


def _inflation(n: int, rho: float) -> float:
    """Variance of a least-squares slope under AR(1) noise over that under white noise."""
    lever = np.arange(n) - (n - 1) / 2
    lags = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    return float(lever @ rho**lags @ lever / (lever @ lever))


def means(values: Floats, over: int = rules.MEAN_OVER) -> Floats:
    """Trailing means over so many values; the first `over - 1` are NaN."""
    result = np.full(len(values), np.nan)
    if len(values) >= over:
        sums = np.cumsum(np.insert(values, 0, 0.0))
        result[over - 1 :] = (sums[over:] - sums[:-over]) / over
    return result


def jitter(values: Floats) -> float:
    """Robust sd of a curve's epoch-to-epoch noise, from its differences (trend-free)."""
    if len(values) < 3:
        return 0.0
    steps = np.diff(values)
    return float(1.4826 * np.median(np.abs(steps - np.median(steps))) / np.sqrt(2))


def departs(values: Floats, matters: float) -> bool:
    """Whether the last epochs have left where the window rests; slopes are blind to its end."""
    away = np.abs(values - np.median(values))
    noise = jitter(values)
    lasting = float(np.median(away[-3:])) > max(matters, rules.DEPARTS_SD * noise)
    return lasting or float(away[-1]) > max(2 * matters, 2 * rules.DEPARTS_SD * noise)


def since_when(holds: NDArray[np.bool_]) -> int | None:
    """From which of the epochs on something holds that may flicker meanwhile; None: not now.

    It holds now if it does at the last epoch or at two of the recent ones; it began where it
    first held after so many epochs in a row without it.
    """
    recent = rules.RECENT
    if not len(holds) or not (holds[-1] or holds[-recent:].sum() >= rules.FLICKERS):
        return None
    held = np.flatnonzero(holds)
    gaps = np.flatnonzero(np.diff(held) > recent)
    return int(held[gaps[-1] + 1] if len(gaps) else held[0])
