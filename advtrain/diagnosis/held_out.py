"""The held-out and level axes: does performance on unseen images improve, rest, or fall back?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from advtrain.diagnosis import rules
from advtrain.diagnosis.segments import Phases, epochs_needed, window
from advtrain.diagnosis.table import Axis, Floats, Labels, Numbers, Table
from advtrain.diagnosis.trend import Trend, departs, means, since_when, trend


def split_of(table: Table) -> str:
    """The split that is judged: test, or val where nothing was measured on test."""
    kind = table.kind
    measured = table.has(f"test_{kind}_acc") or table.has(f"test_{kind}_loss")
    return "test" if measured else "val"


def _missing(table: Table) -> str:
    return f"neither test_{table.kind}_acc nor val_{table.kind}_acc is there"


def held_out_axis(table: Table, phases: Phases) -> Axis:
    """The first state that fits, from catastrophic overfitting to the trends."""
    prefix = f"{split_of(table)}_{table.kind}"
    accuracies, losses = table.get(f"{prefix}_acc"), table.get(f"{prefix}_loss")
    if not (np.isfinite(accuracies).any() or np.isfinite(losses).any()):
        return Axis("not_measured", _missing(table))
    return (
        _catastrophic(table, accuracies)
        or _collapsed(table, accuracies)
        or _robust_overfitting(table, accuracies, losses, phases)
        or _trends(table, accuracies, losses, phases)
    )


def _catastrophic(table: Table, accuracies: Floats) -> Axis | None:
    """Multi-step accuracy lost while the single-step one stays (Wong et al. 2020)."""
    if table.kind == "clean" or split_of(table) != "test":
        return None
    single, stands_in = single_step(table)
    known = np.isfinite(accuracies) & np.isfinite(single)
    if not known.any():
        return None
    rows = np.flatnonzero(known)
    best = np.maximum.accumulate(accuracies[rows])
    hold = (accuracies[rows] < rules.FAR_BELOW_SHARE * best) & (
        single[rows] - accuracies[rows] > rules.FAR_BELOW_POINTS
    )
    if table.labels is not None:
        hold &= best > table.labels.learned
    if stands_in:  # robust overfitting, which looks alike, leaves multi-step accuracy above chance
        hold &= accuracies[rows] <= (table.labels or Labels.balanced(10)).chance
    began = since_when(hold)
    if began is None:
        return None
    onset = int(table.epoch[rows[began]])
    return Axis(
        "catastrophic_overfitting",
        f"multi-step accuracy under {rules.FAR_BELOW_SHARE:.0%} of its best while single-step "
        f"accuracy is more than {100 * rules.FAR_BELOW_POINTS:.0f} points higher",
        {
            "onset": onset,
            "multi_step": float(accuracies[rows[-1]]),
            "single_step": float(single[rows[-1]]),
            "best": float(best[-1]),
        },
        (onset, int(table.epoch[-1])),
    )


def single_step(table: Table) -> tuple[Floats, bool]:
    """Accuracy under one step, and whether that of the training's own attack stands in for it.

    It does where nothing else was measured, unless that attack is known to take more steps.
    """
    measured = table.get("test_fgsm_acc")
    if np.isfinite(measured).any():
        return measured, False
    if table.config is not None and table.config.attack.steps > 1:
        return measured, False
    return table.get("train_robust_acc"), table.config is None


def _collapsed(table: Table, accuracies: Floats) -> Axis | None:
    labels, rows = table.labels, np.flatnonzero(np.isfinite(accuracies))
    if labels is None or len(rows) < 2 * rules.COLLAPSED_EPOCHS:
        return None
    values = accuracies[rows]
    smooth, limit = means(values, rules.COLLAPSED_EPOCHS), labels.chance
    best = float(np.nanmax(smooth))
    if not (smooth[-1] <= limit and best > labels.learned):
        return None
    # The last mean above chance may have epochs at chance in it.
    above = np.flatnonzero(~(smooth <= limit))[-1] - rules.COLLAPSED_EPOCHS + 1
    since = rows[above + int(np.argmax(values[above:] <= limit))]
    return Axis(
        "collapsed",
        f"mean accuracy of {rules.COLLAPSED_EPOCHS} measured epochs back at chance",
        {"since": int(table.epoch[since]), "best": best, "accuracy": float(values[-1]),
         "chance": labels.majority},
        (int(table.epoch[since]), int(table.epoch[-1])),
    )  # fmt: skip


def _robust_overfitting(
    table: Table, accuracies: Floats, losses: Floats, phases: Phases
) -> Axis | None:
    """Held-out accuracy fell from its best while training went on improving (Rice et al. 2020)."""
    labels = table.labels or Labels.balanced(2)  # the easiest guess there is
    trained = table.get(f"train_{table.kind}_loss")
    known = np.isfinite(accuracies) & np.isfinite(losses) & np.isfinite(trained)
    known[: phases.main] = False
    rows = np.flatnonzero(known & table.comparable)
    if len(rows) < rules.MEAN_OVER + rules.OVERFIT_EPOCHS:
        return None
    acc, loss, train = (means(values[rows]) for values in (accuracies, losses, trained))
    best = int(np.nanargmax(acc))
    limit = max(rules.OVERFIT_POINTS, rules.OVERFIT_SD * _noise_of_means(accuracies[rows]))
    late = slice(len(rows) - rules.OVERFIT_EPOCHS, None)
    fell = (acc[best] - acc[late] > limit) & (loss[late] > (1 + rules.OVERFIT_LOSS) * loss[best])
    if not ((fell & (train[late] < train[best])).all() and acc[best] > labels.learned):
        return None
    middle = rows[best - rules.MEAN_OVER // 2]  # of the epochs behind the best mean
    return Axis(
        "robust_overfitting",
        f"{rules.MEAN_OVER}-epoch means, {rules.OVERFIT_EPOCHS} in a row: accuracy down by "
        f"{100 * limit:.2g} points and loss up by {rules.OVERFIT_LOSS:.0%} since their best, "
        "training loss lower",
        {
            "best_epoch": int(table.epoch[middle]),
            "best": float(acc[best]),
            "now": float(acc[-1]),
            "lost": float(acc[best] - acc[-1]),
            "limit": limit,
            "loss_rise": float(loss[-1] / loss[best] - 1),
        },
        (int(table.epoch[middle]), int(table.epoch[rows[-1]])),
    )


def _noise_of_means(values: Floats) -> float:
    """Sd of a mean over 5 epochs, were neighbours as much alike as they ever are."""
    smooth = means(values, rules.MEAN_OVER)[rules.MEAN_OVER - 1 :]
    middle = values[rules.MEAN_OVER // 2 : len(values) - rules.MEAN_OVER // 2]
    shrink = math.sqrt(1 - 1 / rules.MEAN_OVER)  # a value is part of its own mean
    single = 1.4826 * float(np.median(np.abs(middle - smooth))) / shrink
    rho = rules.MOST_AUTOCORRELATION
    return single * math.sqrt((1 + rho) / (1 - rho) / rules.MEAN_OVER)


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
    if says == "settled" and (by := departs(y, limit)):
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
    if loss:
        numbers |= {f"loss_{key}": value for key, value in loss.numbers.items()}
    state, rule, by = _decide(accuracy, loss)
    if by:
        numbers["departs"] = by
    return Axis(state, rule, numbers, one.epochs)


def _decide(accuracy: _Judged | None, loss: _Judged | None) -> tuple[str, str, float | None]:
    """State and rule; and by how much the last epochs depart, if that is why it is unresolved."""
    one = accuracy if accuracy and accuracy.says != "unresolved" else None
    if accuracy and "departs" in accuracy.numbers:
        one = accuracy
    elif one is None and loss and (accuracy is None or _agrees(loss, accuracy.found)):
        one = loss
    what = "accuracy" if one is accuracy else "loss"
    if one is None or (one.says == "unresolved" and "departs" not in one.numbers):
        return "unresolved", "the 90% intervals of accuracy and loss span two answers", None
    if by := one.numbers.get("departs"):
        rule = f"held-out {what} was flat, but its last epochs leave that level"
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


def level_axis(table: Table) -> Axis:
    """Whether the last epochs do better than guessing, and by how much."""
    prefix = f"{split_of(table)}_{table.kind}_acc"
    accuracies = table.get(prefix)
    rows = np.flatnonzero(np.isfinite(accuracies))[-rules.RECENT :]
    if not len(rows):
        return Axis("not_measured", _missing(table))
    accuracy = float(accuracies[rows].mean())
    # Two balanced classes are the easiest guess there is.
    labels = table.labels or Labels.balanced(2)
    limit = labels.chance
    se = math.sqrt(accuracy * (1 - accuracy) / table.images) if table.images else 0.0
    numbers: Numbers = {
        "accuracy": accuracy, "chance": labels.majority, "limit": limit,
        "distance": accuracy - labels.majority, "standard_error": se or None,
    }  # fmt: skip
    span = (int(table.epoch[rows[0]]), int(table.epoch[rows[-1]]))
    rule = f"mean accuracy of the last {len(rows)} measured epochs against {limit:.3g}"
    if accuracy - rules.CONFIDENCE_Z * se > limit:
        return Axis("above_chance", rule, numbers, span)
    if table.labels is None:
        return Axis("not_measured", "the number of classes is not known", numbers, span)
    if accuracy + rules.CONFIDENCE_Z * se > limit and accuracy > limit:
        needed = accuracy * (1 - accuracy) * (rules.CONFIDENCE_Z / (accuracy - limit)) ** 2
        numbers["images_needed"] = math.ceil(needed)
        return Axis("unresolved", rule + ": within its sampling error", numbers, span)
    return Axis("at_chance", rule, numbers, span)
