"""The held-out axis: does performance on unseen images improve, rest, or fall back?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from advtrain.diagnosis import rules
from advtrain.diagnosis.level import missing, split_of
from advtrain.diagnosis.overfitting import (
    below_best,
    catastrophic,
    collapsed,
    robust_overfitting,
)
from advtrain.diagnosis.segments import Phases, epochs_needed, window
from advtrain.diagnosis.table import Axis, Floats, Numbers, Table
from advtrain.diagnosis.trend import Trend, departs, trend


def held_out_axis(table: Table, phases: Phases) -> Axis:
    """The first state that fits, from catastrophic overfitting to the trends."""
    prefix = f"{split_of(table)}_{table.kind}"
    accuracies, losses = table.get(f"{prefix}_acc"), table.get(f"{prefix}_loss")
    measured = np.flatnonzero(np.isfinite(accuracies) | np.isfinite(losses))
    if not len(measured):
        return Axis("not_measured", missing(table))
    # At another eps, say, another accuracy is the best to be had.
    present = np.where(np.arange(len(table)) < phases.problem, np.nan, accuracies)
    return (
        catastrophic(table, present)
        or collapsed(table, present)
        or robust_overfitting(table, present, losses, phases)
        or _given_up(table, measured)
        or _trends(table, accuracies, losses, phases)
    )


def _given_up(table: Table, measured: np.ndarray) -> Axis | None:
    """What was measured says nothing of many epochs that came after it."""
    last = int(table.epoch[measured[-1]])
    usual = float(np.median(np.diff(table.epoch[measured]))) if len(measured) > 1 else 1.0
    if table.epoch[-1] - last <= max(rules.RECENT, 2 * usual):
        return None
    return Axis("not_measured", f"held-out performance was last measured in epoch {last}",
                {"epoch": last})  # fmt: skip


@dataclass(frozen=True)
class _Judged:
    """What a curve's trend says: improving, settled, worsening or unresolved, and its numbers."""

    says: str
    found: Trend
    numbers: Numbers
    epochs: tuple[int, int]


def _judged(
    table: Table, values: Floats, phases: Phases, good: str, matters: Callable[[float], float]
) -> _Judged | None:
    """The trend over the window against what matters at its level; None below 5 points."""
    x, y, _ = window(table, np.where(table.comparable, values, np.nan), phases)
    found = trend(x, y)
    if found is None:
        return None
    level = float(np.median(y))
    limit = matters(level)
    direction = found.against(limit)
    numbers = found.numbers(level, limit)
    says = {"flat": "settled", "unresolved": direction, good: "improving"}.get(
        direction, "worsening"
    )
    if says == "unresolved":
        numbers["epochs_needed"] = epochs_needed(found, limit, x, phases)
    if says in ("settled", "unresolved") and (by := departs(y, limit)):
        says, numbers["departs"] = "unresolved", by
    return _Judged(says, found, numbers, (int(x[0]), int(x[-1])))


def _trends(table: Table, accuracies: Floats, losses: Floats, phases: Phases) -> Axis:
    """Accuracy decides; where its noise forbids that, loss does, unless they contradict."""
    accuracy = _judged(
        table, accuracies, phases, "rising", lambda level: _accuracy_matters(level, table.images)
    )
    loss = _judged(table, losses, phases, "falling", lambda level: rules.TEST_LOSS_SHARE * level)
    one = accuracy or loss
    if one is None:
        return Axis("unresolved", "too few measured epochs in this segment",
                    {"epochs_needed": rules.WINDOW[0]})  # fmt: skip
    numbers: Numbers = dict(accuracy.numbers) if accuracy else {}
    numbers.pop("departs", None)  # unless that decides
    if loss:
        numbers |= {f"loss_{key}": value for key, value in loss.numbers.items()}
    state, rule, by = _decide(accuracy, loss)
    if by:
        numbers["departs"] = by
    numbers |= below_best(table, accuracies, phases)
    return Axis(state, rule, numbers, one.epochs)


def _decide(accuracy: _Judged | None, loss: _Judged | None) -> tuple[str, str, float | None]:
    """State and rule; and by how much the last epochs depart, if that is why it is unresolved."""
    one = accuracy if accuracy and accuracy.says != "unresolved" else None
    if one is None and loss and (accuracy is None or _agrees(loss, accuracy.found)):
        one = loss
    if accuracy and "departs" in accuracy.numbers and (not one or one.says == "settled"):
        one = accuracy
    what = "accuracy" if one is accuracy else "loss"
    if one is None or (one.says == "unresolved" and "departs" not in one.numbers):
        names = [n for n, j in (("accuracy", accuracy), ("loss", loss)) if j]
        return "unresolved", f"the trend of {' and '.join(names)} spans two answers", None
    if by := one.numbers.get("departs"):
        rule = f"the last epochs leave held-out {what}'s level"
        return "unresolved", rule, float(by)
    noisy = " (accuracy is too noisy to tell)" if one is loss and accuracy else ""
    rule = f"by the 90% interval of {what}'s change over the window{noisy}"
    return one.says, rule, None


def _agrees(loss: _Judged, accuracy: Trend) -> bool:
    """Whether what the loss says may be true of an accuracy whose interval spans two answers."""
    if loss.says == "settled":
        return accuracy.low <= 0 <= accuracy.high
    return {"improving": accuracy.change >= 0, "worsening": accuracy.change <= 0}.get(
        loss.says, True
    )


def _accuracy_matters(level: float, images: int | None) -> float:
    """A point, or two standard errors of the paired difference on these images."""
    if not images:
        return rules.ACCURACY_POINTS
    variance = 2 * level * (1 - level) * (1 - rules.PAIRED_CORRELATION) / images
    return max(rules.ACCURACY_POINTS, rules.ACCURACY_SE * math.sqrt(max(variance, 0.0)))
