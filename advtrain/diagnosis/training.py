"""The train axis: does the training loss fall steadily, and has it come to rest?"""

from __future__ import annotations

import math

import numpy as np

from advtrain.diagnosis import rules
from advtrain.diagnosis.segments import Phases, epochs_needed, window
from advtrain.diagnosis.table import Axis, Floats, Numbers, Table
from advtrain.diagnosis.trend import departs, filled, jitter, means, trend


def train_axis(table: Table, phases: Phases) -> Axis:
    """The first state that fits, from `nonfinite` to the trend."""
    losses, accuracies = (table.get(f"train_{table.kind}_{what}") for what in ("loss", "acc"))
    return (
        _nonfinite(table)
        or _not_measured(table, losses)
        or _too_short(table, phases)
        or _stuck(table, losses, accuracies)
        or _moving(table, losses, phases)
    )


def _nonfinite(table: Table) -> Axis | None:
    where = table.bad_epoch
    if where is None:
        return None
    return Axis("nonfinite", "a loss or weight was not finite", {"epoch": where}, (where, where))


def _not_measured(table: Table, losses: Floats) -> Axis | None:
    if np.isfinite(losses).any():
        return None
    return Axis("not_measured", f"train_{table.kind}_loss was not measured")


def _too_short(table: Table, phases: Phases) -> Axis | None:
    rows, since = len(table), len(table) - phases.starts[-1]
    warmup = table.config.eps_settled if table.config else 0
    numbers: Numbers = {"epochs": rows, "since_jump": since}
    span = (int(table.epoch[0]), int(table.epoch[-1]))
    if rows < rules.SHORTEST:
        rule = f"fewer than {rules.SHORTEST} epochs"
    elif warmup and table.epoch[-1] <= warmup:  # the loss rises as the attack grows
        rule = f"eps still changes, until epoch {math.ceil(warmup)}"
    elif len(phases.starts) > 1 and since < rules.SHORTEST_SINCE_JUMP:
        rule = f"fewer than {rules.SHORTEST_SINCE_JUMP} epochs since lr or eps last changed"
    else:
        return None
    return Axis("too_short", rule, numbers, span)


def _stuck(table: Table, losses: Floats, accuracies: Floats) -> Axis | None:
    labels = table.labels
    if labels is None:
        return None
    limit, least = labels.chance, rules.STUCK_ENTROPY * labels.entropy
    hits = np.where(np.isfinite(accuracies), accuracies, table.get(f"test_{table.kind}_acc"))
    hits = filled(hits)  # it may be measured more seldom than the loss
    # Of few images, single accuracies stray above the limit.
    at_chance = (losses >= least) & ((hits <= limit) | (means(hits) <= limit))
    moving = np.flatnonzero(~at_chance)
    since = int(moving[-1]) + 1 if len(moving) else 0
    if len(table) - since < rules.STUCK_EPOCHS:
        return None
    return Axis(
        "stuck",
        f"loss at least {rules.STUCK_ENTROPY:g} of the labels' entropy and accuracy at most "
        f"{limit:.3g}, for {rules.STUCK_EPOCHS} epochs",
        {
            "since": int(table.epoch[since]),
            "loss": float(losses[-1]),
            "entropy": labels.entropy,
            "accuracy": float(hits[-1]),
            "chance": labels.majority,
        },
        (int(table.epoch[since]), int(table.epoch[-1])),
    )


def _moving(table: Table, losses: Floats, phases: Phases) -> Axis:
    x, y, segment = window(table, losses, phases)
    found = trend(x, y)
    if found is None:
        return Axis("unresolved", "too few epochs of this segment have a training loss",
                    {"epochs": len(x), "epochs_needed": rules.WINDOW[0]})  # fmt: skip
    level = float(np.median(y))
    matters = max(rules.TRAIN_LOSS_SHARE * level, rules.TRAIN_LOSS_NATS)
    numbers = found.numbers(level, matters)
    span = (int(x[0]), int(x[-1]))
    if diverged := _diverged(segment):
        return Axis("diverged", diverged[0], numbers | diverged[1], span)
    direction = found.against(matters)
    if direction == "flat" and (by := departs(y, matters)):
        rule = "the last epochs leave the training loss's level"
        return Axis("unresolved", rule, numbers | {"departs": by}, span)
    swing = float(np.mean(np.abs(np.diff(y))))
    start = max(float(losses[np.isfinite(losses)][0]), table.labels.entropy if table.labels else 0)
    numbers |= {"swing": swing, "descent": start - level}
    swings = swing > max(rules.SWING_SHARE * (start - level), rules.SWING_NATS)
    trendless = abs(found.change) <= rules.TREND_DESPITE_SWINGS * (found.high - found.low)
    if swings and trendless:
        rule = f"no clear trend, but swings above {rules.SWING_SHARE:.0%} of the loss's descent"
        return Axis("oscillating", rule, numbers, span)
    if direction == "unresolved":
        rule = f"the 90% interval of the change spans two answers (what matters: {matters:.3g})"
        numbers |= {"epochs_needed": epochs_needed(found, matters, x, phases)}
        return Axis(direction, rule, numbers, span)
    inside = "within" if direction == "flat" else "beyond"
    rule = f"the 90% interval of the change over the window lies {inside} {matters:.3g}"
    return Axis({"falling": "descending"}.get(direction, direction), rule, numbers, span)


def _diverged(segment: Floats) -> tuple[str, Numbers] | None:
    """Whether the last three epochs lie above the segment's minimum by more than noise does."""
    count = rules.DIVERGED_EPOCHS
    if len(segment) < 2 * count:
        return None
    lowest = float(np.nanmin(means(segment, count)))
    noise = rules.DIVERGED_SD * jitter(segment) / count**0.5
    most = lowest + max(rules.DIVERGED_NATS, rules.DIVERGED_SHARE * lowest, noise)
    if not (segment[-count:] > most).all():
        return None
    rule = f"the last {count} losses lie above the segment's minimum by {most - lowest:.3g} or more"
    return rule, {"minimum": lowest, "limit": most}
