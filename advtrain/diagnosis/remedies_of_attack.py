"""Remedies for an attack that does not do its work."""

from __future__ import annotations

from advtrain.config.objectives import USUAL_ALPHA
from advtrain.diagnosis.case import Case
from advtrain.diagnosis.changes import Change, Remedy, exact, learning_rate
from advtrain.diagnosis.remedies_of_lr import CALMER, rising_eps, settle, usual_lr

_STEPS = 10  # of the attack with which Madry et al. and Rice et al. train


def stronger_attack(case: Case, why: str = "because more steps still find more loss") -> Remedy:
    """More steps from a random start."""
    attack = case.config.attack if case.config else None
    steps = max(_STEPS, 2 * attack.steps if attack and attack.steps > 1 else 0)
    what, typed = f"give the training attack {steps} steps", [f"steps={steps}"]
    if attack is None or attack.start != "uniform":
        what += " from a random start"
        typed.append("start=uniform")
    if attack is None or attack.alpha != USUAL_ALPHA:
        what += f", of size {USUAL_ALPHA}"
        typed.append(f"alpha={USUAL_ALPHA}")
    changes = [Change(what, why, tuple(typed))]
    if case.config and case.config.evaluation.steps < 2 * steps:
        what, why = f"evaluate with {2 * steps} steps", "so that the evaluation stays the stronger"
        changes.append(Change(what, why, (f"evaluation.steps={2 * steps}",)))
    return Remedy(changes)


def multi_step(case: Case) -> Remedy:
    """A true attack, and what it takes to learn against one: a usual lr, eps that rises."""
    too_high = usual_lr(case, "at which a true attack drives a network to chance")
    changes = [too_high] if too_high else []
    changes += _true_attack(case)
    if not changes:
        why = "because gradients vanish although the attack is strong"
        changes.append(learning_rate(case, (case.lr or 1) / CALMER, why))
    plateau = case.attacked and case.at_chance_throughout
    if plateau and case.eps_warmup < case.epochs / 4 and not case.table.carried:
        why = "because at full eps from the start a true attack may leave a network at chance"
        return Remedy([*changes, *rising_eps(case, why)])
    return Remedy([*changes, *settle(case)])


def _true_attack(case: Case) -> list[Change]:
    """Several steps from a random start; nothing where the training has them."""
    config = case.config
    why = "because a stronger attack finds what this one does not"
    if config is None:
        return stronger_attack(case, why).changes
    changes = []
    if config.objective.name in ("fgsm", "free"):
        what = f"train on PGD instead of {config.objective.name}"
        kept = {key: value for key in ("awp", "awp_warmup", "gradalign", "label_smoothing")
                if (value := getattr(config.objective, key, 0))}  # fmt: skip
        keys = "".join(f", {key}: {exact(value)}" for key, value in kept.items())
        value = f"{{name: pgd{keys}}}" if kept else "pgd"
        single = "because its single step misses what several find"
        changes.append(Change(what, single, (f"objective={value}",)))
        if config.attack.steps > 1:
            return changes
    attack = config.attack
    reaches = attack.steps >= _STEPS and attack.steps * attack.step_size >= attack.eps
    solid = reaches and attack.start == "uniform"
    return changes if solid else [*changes, *stronger_attack(case, why).changes]
