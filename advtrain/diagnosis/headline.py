"""A verdict in one sentence, by what decided it."""

from __future__ import annotations

from advtrain.diagnosis import rules
from advtrain.diagnosis.segments import Phases
from advtrain.diagnosis.table import Axis, Table

_SENTENCES = {
    "nonfinite": "no: a loss or weight was not finite in epoch {train[epoch]}",
    "catastrophic_overfitting": "no: catastrophic overfitting, the attack broke at epoch "
    "{held[onset]}",
    "broken": "no: the training loss means nothing, its attack is broken since epoch "
    "{inner[since]}",
    "collapsed": "no: collapsed to chance at epoch {held[since]}",
    "stuck": "no: stuck at chance since epoch {train[since]}",
    "diverged": "no: the training loss rose and stayed above its minimum",
    "too_short": "cannot tell yet: {train_rule}",
    "not_measured": "cannot tell: {train_rule}",
    "chance_unknown": "cannot tell: chance is not known without the number of classes",
    "at_chance": "cannot tell: held-out accuracy is at chance, training loss {train_state}",
    "level_unresolved": "cannot tell: held-out accuracy is above chance by less than its "
    "sampling error",
    "descending": "not yet: still descending",
    "drop_pending": "not yet: training loss {train_state} at this lr",
    "lr_moves": "not yet: flat, but lr is on its way",
    "rising": "not settled: the training loss rises",
    "oscillating": "not settled: the training loss oscillates",
    "departs": "cannot tell yet: {departs_rule}",
    "train_unresolved": "cannot tell: the training loss is too noisy{train_more}",
    "unresolved": "cannot tell: held-out performance is too noisy{held_more}",
    "no_held_out": "cannot tell: {held_rule}",
    "improving": "not yet: held-out performance is still improving",
    "worsening": "not settled: held-out performance is worsening",
    "robust_overfitting": "{reached}; best at epoch {held[best_epoch]}, {overfitting} since",
    "settled": "converged",
    "within_band": "converged",
}


def headline(
    converged: bool | None, cause: str, axes: dict[str, Axis], phase: Phases, table: Table
) -> str:
    """The sentence for the state that decided, and what a reader must know beside it."""
    train, held = axes["train"], axes["held_out"]
    text = _SENTENCES[cause].format(
        train=train.numbers,
        held=held.numbers,
        inner=axes["inner"].numbers,
        train_rule=train.rule,
        held_rule=held.rule,
        departs_rule=train.rule if "departs" in train.numbers else held.rule,
        train_state=train.state.replace("unresolved", "not yet resolved"),
        train_more=_more(train),
        held_more=_more(held),
        reached="optimised" if converged else "past its best",
        overfitting="overfitting" if table.clean_training else "robust overfitting",
    )
    if cause in ("settled", "within_band") and phase.constant:
        text += " at this lr"
    if cause == "within_band":
        text += f" (held-out accuracy to within {100 * rules.BAND:.0f} points)"
    if phase.pending is not None and converged is not True:
        escape = ", where some runs escape" if cause == "stuck" else ""
        text += f"; drop of lr after epoch {phase.pending} pending{escape}"
    if cause == "improving" and phase.exhausted:
        text += ", but the lr is spent"
    if converged and axes["inner"].state == "weak":
        text += "; the attack is weak"
    if table.finished or converged is False:
        return text
    return f"{text} ({'still running' if table.state == 'running' else table.state})"


def _more(axis: Axis) -> str:
    needed = axis.numbers.get("epochs_needed")
    return f" (about {needed} epochs of this segment would tell)" if needed else ""
