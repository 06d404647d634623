"""What no single key can tell: contradictions between keys, and settings that seldom help."""

from __future__ import annotations

from advtrain.config.optimization import Piecewise
from advtrain.config.schema import Config

Problem = tuple[tuple[str | int, ...], str]


def contradictions(config: Config) -> list[Problem]:
    """Paths and sentences of what cannot be; empty if all is well."""
    found: list[Problem] = []
    if config.attack.eps > 0:
        try:
            if config.attack.step_size <= 0:
                found.append((("attack", "alpha"), "expected a step size > 0"))
        except ValueError as error:
            found.append((("attack", "alpha"), str(error)))
    if config.evaluation.steps < config.attack.steps:
        found.append((
            ("evaluation", "steps"),
            f"expected at least attack.steps ({config.attack.steps}), got "
            f"{config.evaluation.steps}: the evaluation must not be weaker than the training",
        ))  # fmt: skip
    if config.training.early_stopping and config.dataset.val_size == 0:
        found.append((
            ("training", "early_stopping"),
            "needs validation images, but dataset.val_size is 0",
        ))  # fmt: skip
    if config.attack.norm == "linf":
        for i, eps in enumerate(config.evaluation.eps):
            if eps > 1:
                found.append((("evaluation", "eps", i), f"expected at most 1, got {eps:g}"))
    if config.schedule.warmup > config.horizon:
        found.append((
            ("schedule", "warmup"),
            f"expected at most the schedule's {config.horizon} epochs",
        ))  # fmt: skip
    return found


def cautions(config: Config) -> list[str]:
    """Sentences about settings that are allowed and seldom meant."""
    found = []
    attack = config.attack
    if attack.steps * attack.step_size < attack.eps * (1 - 1e-9):
        found.append(
            f"attack: {attack.steps} steps of {attack.step_size:g} cannot cross the ball of "
            f"eps {attack.eps:g}; steps x alpha should be at least eps"
        )
    schedule = config.schedule
    if isinstance(schedule, Piecewise):
        late = [m for m in schedule.milestones if m >= 1 and m >= config.training.epochs]
        if late:
            found.append(
                f"schedule.milestones: {', '.join(f'{m:g}' for m in late)} lie beyond the "
                f"{config.training.epochs} epochs"
            )
    return found
