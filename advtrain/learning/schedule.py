"""Learning rate and eps as functions of the step alone, so that resuming needs no state."""

from __future__ import annotations

import math

import numpy as np

from advtrain.config.optimization import Constant, Cosine, Cyclic, Piecewise, Schedule


def lr_factor(schedule: Schedule, step: int, steps_per_epoch: int, horizon: int) -> float:
    """Fraction of the peak learning rate at a step, which counts from 0 over the whole run.

    `horizon` is the schedule's length in epochs; after it the last value stays.
    """
    total = horizon * steps_per_epoch
    step = min(step, total - 1)
    warmup = schedule.warmup * steps_per_epoch
    factor = min(1.0, (step + 1) / warmup) if warmup else 1.0
    match schedule:
        case Constant():
            return factor
        case Piecewise(milestones=milestones, gamma=gamma):
            epochs = [m * horizon if m < 1 else m for m in milestones]
            # Rounded, so that half of an odd number of epochs still falls on a whole step.
            passed = sum(step >= round(epoch * steps_per_epoch) for epoch in epochs)
            return factor * float(gamma**passed)
        case Cosine():
            return factor * 0.5 * (1 + math.cos(math.pi * step / total))
        case Cyclic(peak=peak):
            middle = (step + 0.5) / total  # of the step, so that no step has a rate of 0
            return factor * min(middle / peak, (1 - middle) / (1 - peak))


def eps_factor(schedule: Schedule, step: int, steps_per_epoch: int, horizon: int) -> float:
    """Fraction of the training attack's eps, which its step size follows, at a step."""
    warmup = schedule.eps_warmup * steps_per_epoch
    factor = min(1.0, (step + 1) / warmup) if warmup else 1.0
    return factor * _between(schedule.eps_points, step, horizon * steps_per_epoch)


def alpha_factor(schedule: Schedule, step: int, steps_per_epoch: int, horizon: int) -> float:
    """What the attack's step size is multiplied with at a step, beside the factor of eps."""
    return _between(schedule.alpha_points, step, horizon * steps_per_epoch)


def _between(points: list[list[float]], step: int, total: int) -> float:
    """The value at the step's end on the line through [time, value] points; 1 without any."""
    if not points:
        return 1.0
    times, values = zip(*points, strict=True)
    return float(np.interp((step + 1) / total, times, values))
