"""Phases of a training: where the learning rate jumps, what is still to come, what is spent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from advtrain.config.optimization import Cosine, Cyclic, Piecewise
from advtrain.config.schema import Config
from advtrain.diagnosis import rules
from advtrain.diagnosis.table import Floats, Table


@dataclass(frozen=True)
class Phases:
    """Row numbers at which segments start (the first is 0), and how lr stands at the end."""

    starts: tuple[int, ...]
    pending: int | None  # the epoch after which lr drops next, if it will
    exhausted: bool  # lr is spent: more epochs at it change nothing
    constant: bool  # one lr throughout, as far as is known
    smooth: bool  # lr changes from epoch to epoch
    main: int  # the row at which warm-up of lr and eps is over

    def last(self, rows: int) -> slice:
        """The rows of the last segment."""
        return slice(self.starts[-1], rows)


def phases(table: Table) -> Phases:
    """The segments of a run by its configured schedule, of a foreign CSV by its lr column."""
    rows, lr = len(table), table.get("lr")
    config = table.config
    if config is None:
        starts = _foreign(lr)
        known = lr[np.isfinite(lr)]
        smooth = len(known) > 1 and 2 * len(set(known.tolist())) > len(known)
        constant = len(set(known.tolist())) <= 1
        return Phases(starts, None, _spent(lr), constant, smooth, 0)
    schedule, done = config.schedule, int(table.epoch[-1]) if rows else 0
    warm = math.ceil(max(schedule.warmup, schedule.eps_warmup))
    jumps = milestones(config)
    edges = {end for end in (warm, *map(math.ceil, jumps)) if 0 < end < done}
    starts = tuple(sorted({0} | {int(np.searchsorted(table.epoch, e + 1)) for e in edges}))
    smooth = isinstance(schedule, Cosine | Cyclic)
    pending = [math.ceil(j) for j in jumps if done <= math.ceil(j) < config.training.epochs]
    if table.finished:  # early stopping too
        pending = []
    return Phases(
        starts,
        min(pending, default=None),
        (smooth and done >= config.horizon) or _spent(lr),
        not smooth and not jumps,
        smooth,
        min(int(np.searchsorted(table.epoch, warm + 1)), max(0, rows - 1)),
    )


def window(table: Table, values: Floats, phases: Phases) -> tuple[Floats, Floats, Floats]:
    """Epochs and values of the window that a trend is judged on, and of its whole segment.

    The window is the segment without its transient, of 8 to 50 measured epochs.
    """
    segment = phases.last(len(table))
    known = np.isfinite(values[segment])
    x, y = table.epoch[segment][known].astype(float), values[segment][known]
    shortest, longest = rules.WINDOW
    transient = rules.SMOOTH_TRANSIENT if phases.smooth else rules.TRANSIENT
    size = min(max(round(len(x) * (1 - transient)), shortest), longest, len(x))
    return x[len(x) - size :], y[len(y) - size :], y


def milestones(config: Config) -> list[float]:
    """The epochs after which the configured learning rate drops."""
    schedule = config.schedule
    if not isinstance(schedule, Piecewise):
        return []
    return [m * config.horizon if m < 1 else m for m in schedule.milestones]


def _spent(lr: Floats) -> bool:
    """Whether the last learning rate is a small fraction of the peak."""
    known = lr[np.isfinite(lr)]
    return bool(
        len(known) and known[-1] < known.max() and known[-1] <= rules.EXHAUSTED * known.max()
    )


def _foreign(lr: Floats) -> tuple[int, ...]:
    """Segment starts: where a long constant lr changes by much."""
    starts, equal = [0], 1
    for row in range(1, len(lr)):
        before, now = lr[row - 1], lr[row]
        if now == before:
            equal += 1
            continue
        if before > 0 and now > 0:
            ratio = max(now / before, before / now)
            if ratio > rules.JUMP_RATIO and equal >= rules.CONSTANT_BEFORE:
                starts.append(row)
        equal = 1
    return tuple(starts)
