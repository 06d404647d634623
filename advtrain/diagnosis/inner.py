"""The inner axis: does the attack do its work, so that the training loss means what it says?

Judged on a fixed part of the training images under the training attack and the evaluation's
(`probe_*`); foreign CSVs without those are judged by the evaluation's figures on test.
"""

from __future__ import annotations

import numpy as np

from advtrain.diagnosis import rules
from advtrain.diagnosis.table import Axis, Floats, Numbers, Table
from advtrain.diagnosis.trend import since_when


def inner_axis(table: Table) -> Axis:
    """`broken` before `by_design` before `weak` or `solved`."""
    if table.clean_training:
        return Axis("by_design", "the training has no adversary")
    return (
        _far_below(table)
        or _at_chance(table)
        or _vanished(table)
        or _single_step(table)
        or _doubled(table)
    )


def _far_below(table: Table) -> Axis | None:
    """The evaluation's attack finds what the training's does not."""
    if table.has("probe_robust_acc", "probe_pgd_acc"):
        trained, strong = table.get("probe_robust_acc"), table.get("probe_pgd_acc")
        attack = "the training attack"
    elif table.config is None or table.config.single_step:
        trained, strong = table.get("test_fgsm_acc"), table.get("test_robust_acc")
        attack = "one step on test"
    else:
        return None
    rows = np.flatnonzero(np.isfinite(trained) & np.isfinite(strong))
    hold = (strong[rows] < rules.FAR_BELOW_SHARE * trained[rows]) & (
        trained[rows] - strong[rows] > rules.FAR_BELOW_POINTS
    )
    began = since_when(hold)
    if began is None:
        return None
    recent, since = rows[-rules.RECENT :], int(table.epoch[rows[began]])
    return Axis(
        "broken",
        f"multi-step accuracy under {rules.FAR_BELOW_SHARE:.0%} of what {attack} sees and "
        f"{100 * rules.FAR_BELOW_POINTS:.0f} points below it",
        {
            "since": since,
            "training_attack": float(trained[recent].mean()),
            "multi_step": float(strong[recent].mean()),
            **_stationarity(table),
        },
        (since, int(table.epoch[-1])),
    )


def _at_chance(table: Table) -> Axis | None:
    """A network that guesses gives the same output everywhere: no attack has a slope to climb."""
    names = [name for name in ("test_clean_acc", "train_clean_acc") if table.has(name)]
    if table.labels is None or not names:
        return None
    recent, span = _recent(table, names[0])
    accuracy, limit = float(recent[names[0]].mean()), table.labels.chance
    if accuracy > limit:
        return None
    return Axis(
        "not_measured",
        "at chance the output hardly depends on the image: no attack has anything to climb",
        {"accuracy": accuracy, "limit": limit},
        span,
    )


def _vanished(table: Table) -> Axis | None:
    """Gradients that vanish where the network is wrong or unsure mask it from the attack."""
    if not table.has("probe_vanished"):
        return None
    recent, span = _recent(table, "probe_vanished")
    share = float(recent["probe_vanished"].mean())
    if share <= rules.VANISHED_SHARE:
        return None
    return Axis(
        "broken",
        f"input gradients vanish on more than {rules.VANISHED_SHARE:.0%} of the misclassified or "
        "low-confidence examples",
        {"since": span[0], "vanished": share, **_stationarity(table)},
        span,
    )


def _single_step(table: Table) -> Axis | None:
    if table.config is None or not table.config.single_step:
        return None
    return Axis(
        "by_design", "one step does not try to solve the inner problem", _stationarity(table)
    )


def _doubled(table: Table) -> Axis:
    """What doubling the attack's steps adds, beside what the attack has gained so far."""
    names = ("clean_loss", "robust_loss", "robust_loss_2x")
    for prefix in ("probe", "test"):
        columns = [f"{prefix}_{name}" for name in names]
        if table.has(*columns):
            break
    else:
        return Axis("not_measured", "no columns that say what doubling the attack's steps adds")
    recent, span = _recent(table, *columns)
    clean, robust, doubled = (float(recent[name].mean()) for name in columns)
    gain, more = robust - clean, doubled - robust
    numbers: Numbers = {
        "clean_loss": clean, "robust_loss": robust, "doubled_loss": doubled,
        "share": more / gain if gain > 0 else None, **_stationarity(table),
    }  # fmt: skip
    if max(gain, gain + more) < rules.LEAST_GAIN:
        rule = f"even twice the steps raise the loss by less than {rules.LEAST_GAIN:g} nats"
        return Axis("not_measured", f"{rule}: nothing to compare", numbers, span)
    state = "weak" if abs(more) > rules.WEAK_SHARE * gain else "solved"
    rule = (
        f"the steps gain {gain:.3g} nats, as many again {more:+.3g} "
        f"(limit {rules.WEAK_SHARE:.0%} of the gain)"
    )
    return Axis(state, rule, numbers, span)


def _recent(table: Table, *names: str) -> tuple[dict[str, Floats], tuple[int, int]]:
    """The last epochs at which all the columns were measured."""
    columns = {name: table.get(name) for name in names}
    known = np.logical_and.reduce([np.isfinite(column) for column in columns.values()])
    rows = np.flatnonzero(known)[-rules.RECENT :]
    span = (int(table.epoch[rows[0]]), int(table.epoch[rows[-1]]))
    return {name: column[rows] for name, column in columns.items()}, span


def _stationarity(table: Table) -> Numbers:
    """First-order stationary conditions: evidence beside the states, never a gate."""
    found: Numbers = {}
    for name in ("fosc_train", "fosc_test"):
        if table.has(name):
            found[name] = float(_recent(table, name)[0][name].mean())
    return found
