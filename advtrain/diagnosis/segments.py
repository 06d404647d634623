"""Phases of a training: where the learning rate jumps, what is still to come, what is spent."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from advtrain.config.optimization import Cosine, Cyclic, Piecewise
from advtrain.config.schema import Config
from advtrain.diagnosis import rules
from advtrain.diagnosis.table import Floats, Table
from advtrain.diagnosis.trend import Trend, filled

_PROBLEM = {"attack", "dataset", "objective"}  # sections of a config


@dataclass(frozen=True)
class Phases:
    """Row numbers at which segments start (the first is 0), and how lr stands at the end."""

    starts: tuple[int, ...]
    pending: int | None  # the epoch after which lr drops next, if it will
    exhausted: bool  # lr is spent: more epochs at it change nothing
    constant: bool  # one lr throughout, as far as is known
    smooth: bool  # lr changes from epoch to epoch
    main: int  # the row at which warm-up of lr and eps is over
    problem: int  # the row since which it is the same problem: eps, attack, images, objective

    def last(self, rows: int) -> slice:
        """The rows of the last segment."""
        return slice(self.starts[-1], rows)


def phases(table: Table) -> Phases:
    """The segments of a run by its configured schedule, of a foreign CSV by its lr column.

    Epochs that were taken over from another run were made by its config, so there, too, the
    columns tell; and where what is trained changed, a segment begins.
    """
    rows, config = len(table), table.config
    lr, eps = filled(table.get("lr")), filled(table.get("eps"))
    if config is None:
        moves = _moves(lr)
        smooth = bool(2 * moves.sum() > rows) or (
            rows > rules.RECENT and bool(moves[-rules.RECENT :].all())
        )
        settled = _settlings(eps)
        starts = tuple(sorted({0, *_jumps(lr), *settled}))
        return Phases(starts, None, _spent(lr), not moves.any(), smooth, 0, max(settled, default=0))
    schedule, done = config.schedule, int(table.epoch[-1]) if rows else 0
    warm = math.ceil(max(schedule.warmup, config.eps_settled))
    drops = milestones(config)
    edges = {end for end in (warm, *map(math.ceil, drops)) if table.carried < end < done}
    taken = int(np.searchsorted(table.epoch, table.carried + 1))
    starts = tuple(sorted(
        {0, *_taken_over(table, taken)}
        | {int(np.searchsorted(table.epoch, e + 1)) for e in edges}
    ))  # fmt: skip
    smooth = isinstance(schedule, Cosine | Cyclic)
    pending = [math.ceil(d) for d in drops if done <= math.ceil(d) < config.training.epochs]
    if table.finished:  # early stopping too
        pending = []
    return Phases(
        starts,
        min(pending, default=None),
        (smooth and done >= config.horizon) or _spent(lr),
        not smooth and not drops,
        smooth,
        min(int(np.searchsorted(table.epoch, warm + 1)), max(0, rows - 1)),
        taken if set(table.changed) & _PROBLEM else max(_settlings(eps[:taken]), default=0),
    )


def _taken_over(table: Table, rows: int) -> set[int]:
    """Segment starts within the rows that another run made, and where this one goes on."""
    if not 0 < rows < len(table):
        return set()
    lr, eps = filled(table.get("lr")), filled(table.get("eps"))
    goes_on = table.changed or _jumped(lr[rows - 1], lr[rows])
    return {*_jumps(lr[:rows]), *_settlings(eps[:rows])} | ({rows} if goes_on else set())


def window(table: Table, values: Floats, phases: Phases) -> tuple[Floats, Floats, Floats]:
    """Epochs and values of the window that a trend is judged on, and of its whole segment.

    The window is the segment without its transient, of 8 to 50 measured epochs.
    """
    segment = phases.last(len(table))
    known = np.isfinite(values[segment])
    x, y = table.epoch[segment][known].astype(float), values[segment][known]
    shortest, longest = rules.WINDOW
    size = min(max(round(len(x) * (1 - _transient(phases))), shortest), longest, len(x))
    return x[len(x) - size :], y[len(y) - size :], y


def epochs_needed(found: Trend, matters: float, x: Floats, phases: Phases) -> int | None:
    """About how many epochs of this segment would tell; None where more of them would not."""
    points = found.points_needed(matters)
    if points is None or len(x) < 2:
        return None
    every = float(np.median(np.diff(x)))  # epochs from one measurement to the next
    return math.ceil(points * every / (1 - _transient(phases)))


def _transient(phases: Phases) -> float:
    """The share of a segment that is left out at its beginning."""
    return rules.SMOOTH_TRANSIENT if phases.smooth else rules.TRANSIENT


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


def _jumps(lr: Floats) -> list[int]:
    """Rows where a learning rate that was constant for long changes by much, or starts again."""
    starts, equal = [], 1
    for row, moved in enumerate(_moves(lr), 1):
        if not moved:
            equal += 1
            continue
        restart = lr[row] > rules.RESTART_RATIO * lr[row - 1]
        if restart or (equal >= rules.CONSTANT_BEFORE and _jumped(lr[row - 1], lr[row])):
            starts.append(row)
        equal = 1
    return starts


def _settlings(eps: Floats) -> list[int]:
    """Rows at which eps arrives where it then stays: any other eps is another problem."""
    moved = _moves(eps)
    arrived = moved & ~np.append(moved[1:], False)
    return [int(row) + 1 for row in np.flatnonzero(arrived)]


def _moves(values: Floats) -> NDArray[np.bool_]:
    """For each row but the first, whether the value is another, beyond rounding."""
    same = np.isclose(values[1:], values[:-1], rtol=1e-6, atol=0, equal_nan=True)
    return np.asarray(~same)


def _jumped(before: float, now: float) -> bool:
    """Whether one is by much the other's multiple; False where that is not known."""
    return bool(max(before, now) > rules.JUMP_RATIO * min(before, now) > 0)
