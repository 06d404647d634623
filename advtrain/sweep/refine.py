"""Where convergence begins and ends along one key: the next values to try, and the band found.

Pure functions of results, so a sweep that was killed comes to the same values again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

RATIO = 1.3  # neighbours closer than this are not split
_DIGITS = 3


@dataclass(frozen=True)
class Tried:
    """A value of the key, and how many of its seeds converge."""

    value: float
    seeds: int
    converged: int
    undecided: int = 0  # null verdicts, which count as not converged
    failed: int = 0  # which do so, too

    @property
    def good(self) -> bool:
        """Whether a majority of the seeds converges."""
        return 2 * self.converged > self.seeds


@dataclass(frozen=True)
class ConvergingBand:
    """The converging values between two edges; an edge without `below` or `above` is open."""

    low: float
    high: float
    below: float | None  # the next smaller value tried, where it does not converge
    above: float | None
    others: int  # further stretches of converging values, apart from this one

    def edges(self) -> list[tuple[float, float]]:
        """The intervals that hold an edge: low end, high end."""
        found = []
        if self.below is not None:
            found.append((self.below, self.low))
        if self.above is not None:
            found.append((self.high, self.above))
        return found


def band(tried: Sequence[Tried]) -> ConvergingBand | None:
    """The longest stretch of neighbouring values that converge, or None if none does.

    Of equally long ones the widest counts, then the lowest.
    """
    ordered = sorted(tried, key=lambda one: one.value)
    stretches: list[tuple[int, int]] = []  # first and last position
    for i, one in enumerate(ordered):
        if one.good and i and ordered[i - 1].good:
            stretches[-1] = (stretches[-1][0], i)
        elif one.good:
            stretches.append((i, i))
    if not stretches:
        return None
    values = [one.value for one in ordered]
    first, last = max(stretches, key=lambda s: (s[1] - s[0], values[s[1]] / values[s[0]], -s[0]))
    return ConvergingBand(
        low=values[first],
        high=values[last],
        below=values[first - 1] if first else None,
        above=values[last + 1] if last + 1 < len(values) else None,
        others=len(stretches) - 1,
    )


def next_values(tried: Sequence[Tried], *, whole: bool = False) -> list[float]:
    """The values that halve (in log) the intervals around the band's edges, the wider first.

    `whole`: only whole numbers will do.
    """
    found = band(tried)
    wide = [edge for edge in found.edges() if edge[1] / edge[0] > RATIO] if found else []
    wide.sort(key=lambda edge: -edge[1] / edge[0])
    middles = [(math.sqrt(low * high), low, high) for low, high in wide]
    rounded = [
        (round(middle) if whole else float(f"{middle:.{_DIGITS}g}"), low, high)
        for middle, low, high in middles
    ]
    return [value for value, low, high in rounded if low < value < high]


def proposals(
    groups: Mapping[str, Sequence[Tried]], spent: Mapping[str, int], *, whole: bool = False
) -> list[tuple[str, float]]:
    """The next values of all groups; who spent least goes first."""
    turns = [
        (spent.get(name, 0) + turn, order, name, value)
        for order, (name, tried) in enumerate(groups.items())
        for turn, value in enumerate(next_values(tried, whole=whole))
    ]
    return [(name, value) for _, _, name, value in sorted(turns)]
