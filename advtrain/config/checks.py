"""What no single key can tell: contradictions between keys, and settings that seldom help."""

from __future__ import annotations

from advtrain.config.objectives import Fgsm, Free, Standard, resolve_alpha
from advtrain.config.optimization import Piecewise
from advtrain.config.places import Problem
from advtrain.config.schema import Config


def contradictions(config: Config) -> list[Problem]:
    """What cannot be, with the keys that contradict each other; empty if all is well."""
    found: list[Problem] = []
    found += _no_steps(config)
    if config.evaluation.steps < config.attack.steps:
        given = "steps" in config.evaluation.model_fields_set  # else the other key is the cause
        found.append(Problem(
            ("evaluation" if given else "attack", "steps"),
            f"evaluation.steps ({config.evaluation.steps}) must be at least attack.steps "
            f"({config.attack.steps}): the evaluation may not be weaker than the training",
            (("attack", "steps"),),
        ))  # fmt: skip
    if getattr(config.objective, "gradalign", 0) and config.training.compile:
        found.append(Problem(
            ("objective", "gradalign"),
            "needs second derivatives, which compiled networks do not have: training.compile=false",
            (("training", "compile"),),
        ))  # fmt: skip
    if config.training.early_stopping and config.dataset.val_size == 0:
        found.append(Problem(
            ("training", "early_stopping"),
            "needs validation images, but dataset.val_size is 0",
            (("dataset", "val_size"),),
        ))  # fmt: skip
    if config.attack.norm == "linf":
        for i, eps in enumerate(config.evaluation.eps):
            if eps > 1:
                found.append(Problem(
                    ("evaluation", "eps", i), f"expected at most 1, got {eps:g} (norm linf)",
                    (("attack", "norm"),),
                ))  # fmt: skip
    for key in ("warmup", "eps_warmup"):
        if (epochs := getattr(config.schedule, key)) > config.horizon:
            found.append(Problem(
                ("schedule", key),
                f"expected at most the schedule's {config.horizon} epochs, got {epochs:g}",
                (("schedule", "horizon"), ("training", "epochs")),
            ))  # fmt: skip
    return found


def _no_steps(config: Config) -> list[Problem]:
    """Step sizes that are not above 0 at the config's eps."""
    found: list[Problem] = []
    eps, keys = config.attack.eps, config.objective
    of = (("attack", "eps"), ("attack", "steps"))
    sizes = {"attack": (config.attack.alpha, config.attack.steps)}
    if isinstance(keys, Fgsm | Free):
        sizes["objective"] = (keys.step if isinstance(keys, Fgsm) else keys.alpha, 1)
    for section, (alpha, steps) in sizes.items() if eps > 0 else ():
        try:
            if (size := resolve_alpha(alpha, eps, steps)) <= 0:
                text = f"expected a step size > 0, but {alpha} is {size:g} at eps {eps:g}"
                found.append(Problem((section, "alpha"), text, of))
        except ValueError as error:
            found.append(Problem((section, "alpha"), f"{error} at eps {eps:g}", of))
    return found


def cautions(config: Config) -> list[str]:
    """Sentences about settings that are allowed and seldom meant."""
    found = _of_the_attack(config)
    schedule = config.schedule
    if isinstance(schedule, Piecewise):
        late = [m for m in schedule.milestones if m >= 1 and m >= config.training.epochs]
        if late:
            found.append(
                f"schedule.milestones: {', '.join(f'{m:g}' for m in late)} lie beyond the "
                f"{config.training.epochs} epochs"
            )
    return found


def _of_the_attack(config: Config) -> list[str]:
    """Sentences about the attack that the objective trains on."""
    attack, keys, found = config.attack, config.objective, []
    if isinstance(keys, Fgsm):
        size = resolve_alpha(keys.step, attack.eps, 1)
        if keys.start == "zero" and size < attack.eps * (1 - 1e-9):
            found.append(
                f"objective.alpha: one step of {size:g} from the image stays within the ball of "
                f"eps {attack.eps:g}; alpha should be at least eps"
            )
    if isinstance(keys, Fgsm | Free | Standard):  # these take no other step of the attack's
        return found
    if attack.steps * attack.step_size < attack.eps * (1 - 1e-9):
        found.append(
            f"attack: {attack.steps} steps of {attack.step_size:g} cannot cross the ball of "
            f"eps {attack.eps:g}; steps x alpha should be at least eps"
        )
    if attack.restarts > 1 and attack.start == "zero":
        found.append("attack.restarts: every restart from zero is the same attack")
    return found
