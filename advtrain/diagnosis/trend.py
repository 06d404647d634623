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

    def points_needed(self, matters: float) -> int | None:
        """About how many points would make the interval as narrow as what matters.

        It narrows with the square root of the points. None if it is as narrow, or if no window
        has so many.
        """
        times = (self.high - self.low) / matters
        needed = math.ceil(self.points * times**2)
        return needed if times > 1 and needed <= rules.WINDOW[1] else None

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
    unbiased = min(
        max((n * raw + rules.SHORT_SERIES_BIAS) / (n - 4), 0.0), rules.LIMIT_AUTOCORRELATION
    )
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
        result[over - 1 :] = np.lib.stride_tricks.sliding_window_view(values, over).mean(axis=1)
    return result


def jitter(values: Floats) -> float:
    """Robust sd of a curve's epoch-to-epoch noise, from its differences (trend-free)."""
    if len(values) < 3:
        return 0.0
    # Over two epochs, since a curve that goes up and down by turns has no median step.
    drift = float(np.median(values[2:] - values[:-2])) / 2
    return float(1.4826 * np.median(np.abs(np.diff(values) - drift)) / np.sqrt(2))


def departs(values: Floats, matters: float) -> float | None:
    """By how much the last epochs have left where the window rests, if they have.

    Slopes are blind to a window's end.
    """
    away = values - np.median(values)
    recent = float(np.median(away[-rules.DEPARTS_EPOCHS :]))
    limit = max(matters, rules.DEPARTS_SD * jitter(values))
    if abs(recent) > limit:
        return recent
    last = float(away[-1])
    return last if abs(last) > 2 * limit else None


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
