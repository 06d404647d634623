"""What may become of held-out accuracy that was good: catastrophic or robust overfitting, collapse.

Each takes the accuracies of the problem at hand, NaN where another was trained or not measured.
"""

from __future__ import annotations

import math

import numpy as np

from advtrain.diagnosis import rules
from advtrain.diagnosis.level import split_of
from advtrain.diagnosis.segments import Phases
from advtrain.diagnosis.table import Axis, Floats, Labels, Numbers, Table
from advtrain.diagnosis.trend import means, since_when


def catastrophic(table: Table, accuracies: Floats) -> Axis | None:
    """Multi-step accuracy lost while the single-step one stays (Wong et al. 2020)."""
    if table.kind == "clean" or split_of(table) != "test":
        return None
    single, stands_in = _single_step(table)
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
    began = since_when(hold)
    if began is None:
        return None
    if stands_in:  # robust overfitting looks alike, but is slow and ends above chance
        fell = accuracies[rows[began - 1]] - accuracies[rows[began]] if began else 0.0
        guessing = accuracies[rows[-1]] <= (table.labels or Labels.balanced(10)).chance
        if not (guessing or fell > rules.FAR_BELOW_POINTS):
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


def _single_step(table: Table) -> tuple[Floats, bool]:
    """Accuracy under one step, and whether that of the training's own attack stands in for it.

    It does where nothing else was measured, unless that attack is known to take more steps.
    """
    measured = table.get("test_fgsm_acc")
    if np.isfinite(measured).any():
        return measured, False
    if table.config is not None and table.config.attack.steps > 1:
        return measured, False
    return table.get("train_robust_acc"), table.config is None


def collapsed(table: Table, accuracies: Floats) -> Axis | None:
    """Back at chance after something had been learned."""
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


def robust_overfitting(
    table: Table, accuracies: Floats, losses: Floats, phases: Phases
) -> Axis | None:
    """Held-out accuracy fell from its best while training went on improving (Rice et al. 2020)."""
    labels = table.labels or Labels.balanced(2)  # the easiest guess there is
    trained = table.get(f"train_{table.kind}_loss")
    known = np.isfinite(accuracies) & np.isfinite(trained)
    by_loss = bool((known & np.isfinite(losses)).any())
    known &= np.isfinite(losses) | (not by_loss)
    known[: phases.main] = False
    rows = np.flatnonzero(known & table.comparable)
    if len(rows) < rules.MEAN_OVER + rules.OVERFIT_EPOCHS:
        return None
    acc, loss, train = (means(values[rows]) for values in (accuracies, losses, trained))
    best = int(np.nanargmax(acc))
    limit = max(rules.OVERFIT_POINTS, rules.OVERFIT_SD * _noise_of_means(accuracies[rows]))
    late = slice(len(rows) - rules.OVERFIT_EPOCHS, None)
    fell = acc[best] - acc[late] > limit
    if by_loss:
        fell &= loss[late] > (1 + rules.OVERFIT_LOSS) * loss[best]
    if not ((fell & (train[late] < train[best])).all() and acc[best] > labels.learned):
        return None
    middle = rows[best - rules.MEAN_OVER // 2]  # of the epochs behind the best mean
    rise = f" and loss up by {rules.OVERFIT_LOSS:.0%}" if by_loss else ""
    return Axis(
        "robust_overfitting",
        f"{rules.MEAN_OVER}-epoch means, {rules.OVERFIT_EPOCHS} in a row: accuracy down by "
        f"{100 * limit:.2g} points{rise} since the best, training loss lower",
        {
            "best_epoch": int(table.epoch[middle]),
            "best": float(acc[best]),
            "now": float(acc[-1]),
            "lost": float(acc[best] - acc[-1]),
            "limit": limit,
            "loss_rise": float(loss[-1] / loss[best] - 1) if by_loss else None,
        },
        (int(table.epoch[middle]), int(table.epoch[rows[-1]])),
    )


def below_best(table: Table, accuracies: Floats, phases: Phases) -> Numbers:
    """Where the best 5-epoch mean was and how much was lost since, if that is beyond noise."""
    rows = np.flatnonzero(np.isfinite(accuracies) & table.comparable)
    rows = rows[rows >= max(phases.main, phases.problem)]
    if len(rows) < 2 * rules.MEAN_OVER:
        return {}
    smooth = means(accuracies[rows])
    best = int(np.nanargmax(smooth))
    limit = max(rules.OVERFIT_POINTS, rules.OVERFIT_SD * _noise_of_means(accuracies[rows]))
    lost = float(smooth[best] - smooth[-1])
    if lost <= limit:
        return {}
    return {"best_epoch": int(table.epoch[rows[best - rules.MEAN_OVER // 2]]), "lost": lost}


def _noise_of_means(values: Floats) -> float:
    """Sd of a mean over 5 epochs, were neighbours as much alike as they ever are."""
    smooth = means(values, rules.MEAN_OVER)[rules.MEAN_OVER - 1 :]
    middle = values[rules.MEAN_OVER // 2 : len(values) - rules.MEAN_OVER // 2]
    shrink = math.sqrt(1 - 1 / rules.MEAN_OVER)  # a value is part of its own mean
    single = 1.4826 * float(np.median(np.abs(middle - smooth))) / shrink
    rho = rules.MOST_AUTOCORRELATION
    return single * math.sqrt((1 + rho) / (1 - rho) / rules.MEAN_OVER)
