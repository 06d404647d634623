"""The held-out and level axes: does performance on unseen images improve, rest, or fall back?"""

from __future__ import annotations

import math

import numpy as np

from advtrain.diagnosis import rules
from advtrain.diagnosis.segments import Phases, window
from advtrain.diagnosis.table import Axis, Floats, Labels, Numbers, Table
from advtrain.diagnosis.trend import Trend, departs, means, since_when, trend


def split_of(table: Table) -> str:
    """The split that is judged: test, or val where nothing was measured on test."""
    kind = table.kind
    measured = table.has(f"test_{kind}_acc") or table.has(f"test_{kind}_loss")
    return "test" if measured else "val"


def held_out_axis(table: Table, phases: Phases) -> Axis:
    """The first state that fits, from catastrophic overfitting to the trends."""
    prefix = f"{split_of(table)}_{table.kind}"
    accuracies, losses = table.get(f"{prefix}_acc"), table.get(f"{prefix}_loss")
    if not (np.isfinite(accuracies).any() or np.isfinite(losses).any()):
        return Axis("not_measured", f"no column test_{table.kind}_acc or val_{table.kind}_acc")
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
    single = table.get("test_fgsm_acc")
    single = np.where(np.isfinite(single), single, table.get("train_robust_acc"))
    known = np.isfinite(accuracies) & np.isfinite(single)
    if not known.any():
        return None
    rows = np.flatnonzero(known)
    best = np.maximum.accumulate(accuracies[rows])
    hold = far_below(accuracies[rows], best) & (
        single[rows] - accuracies[rows] > rules.FAR_BELOW_POINTS
    )
    if table.labels is not None:
        hold &= best > table.labels.learned
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


def far_below(accuracy: Floats, reference: Floats) -> np.ndarray:
    """Whether an accuracy is less than half of what it is held against."""
    return np.asarray(accuracy < rules.FAR_BELOW_SHARE * reference)


def _collapsed(table: Table, accuracies: Floats) -> Axis | None:
    labels, rows = table.labels, np.flatnonzero(np.isfinite(accuracies))
    if labels is None or len(rows) < 2 * rules.COLLAPSED_EPOCHS:
        return None
    values = accuracies[rows]
    smooth, limit = means(values, rules.COLLAPSED_EPOCHS), labels.chance
    best = float(np.nanmax(smooth))
    if not (smooth[-1] <= limit and best > labels.learned):
        return None
    above = np.flatnonzero(~(smooth <= limit))[-1]  # of these epochs the last was at chance
    since = rows[min(int(above), len(rows) - rules.COLLAPSED_EPOCHS)]
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


def _trends(table: Table, accuracies: Floats, losses: Floats, phases: Phases) -> Axis:
    """Accuracy decides; where its noise forbids that, loss does, unless they contradict."""
    accuracies, losses = (
        np.where(table.comparable, values, np.nan) for values in (accuracies, losses)
    )
    x, y, _ = window(table, accuracies, phases)
    by_accuracy = trend(x, y)
    x_loss, y_loss, _ = window(table, losses, phases)
    by_loss = trend(x_loss, y_loss)
    if by_accuracy is None and by_loss is None:
        return Axis("unresolved", "too few measured epochs in this segment",
                    {"points": len(x), "epochs_needed": rules.WINDOW[0]})  # fmt: skip
    numbers: Numbers = {}
    acc_says = loss_says = "unresolved"
    if by_loss is not None:
        level = float(np.median(y_loss))
        loss_matters = rules.TEST_LOSS_SHARE * level
        loss_says = _word(by_loss.against(loss_matters), good="falling")
        found = by_loss.numbers(level, loss_matters)
        numbers |= {f"loss_{key}": value for key, value in found.items()}
    if by_accuracy is not None:
        level = float(np.median(y))
        matters = _accuracy_matters(level, table.images)
        acc_says = _word(by_accuracy.against(matters), good="rising")
        if acc_says == "settled" and departs(y, matters):
            rule = "accuracy is flat, but its last epochs leave where the window rests"
            numbers |= by_accuracy.numbers(level, matters) | {"low": None, "high": None}
            return Axis("unresolved", rule, numbers, (int(x[0]), int(x[-1])))
        numbers |= by_accuracy.numbers(level, matters)
        if acc_says == "unresolved":
            numbers["epochs_needed"] = by_accuracy.points_to_resolve(matters)
    span = (int((x if by_accuracy else x_loss)[0]), int((x if by_accuracy else x_loss)[-1]))
    state, rule = _decide(acc_says, loss_says, by_accuracy)
    return Axis(state, rule, numbers, span)


def _word(direction: str, good: str) -> str:
    words = {"flat": "settled", "unresolved": "unresolved", good: "improving"}
    return words.get(direction, "worsening")


def _decide(acc_says: str, loss_says: str, accuracy: Trend | None) -> tuple[str, str]:
    if acc_says != "unresolved":
        return acc_says, "by the 90% interval of accuracy's change over the window"
    rule = "by the 90% interval of the loss's change over the window"
    if accuracy is None:
        return loss_says, rule
    contradicted = (loss_says == "improving" and accuracy.change < 0) or (
        loss_says == "worsening" and accuracy.change > 0
    )
    if loss_says == "unresolved" or contradicted:
        return "unresolved", "the 90% intervals of accuracy and loss span two answers"
    return loss_says, rule + " (accuracy is too noisy to tell)"


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
        return Axis("not_measured", f"no column test_{table.kind}_acc or val_{table.kind}_acc")
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
