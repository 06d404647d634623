"""One remedy for each cause of not converging: in words, and as overrides to type."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from advtrain.config.objectives import USUAL_ALPHA
from advtrain.config.schema import Config
from advtrain.diagnosis import rules
from advtrain.diagnosis.schedules import LEAST_EPOCHS, Case, piecewise, plan, short, to_the_end
from advtrain.diagnosis.segments import milestones

_CALMER = 10  # by how much lr falls after a divergence
_MORE_EPOCHS = LEAST_EPOCHS // 2  # where the last phase only has to become longer
_COOLING = 20  # epochs of low lr after the best one: enough to see that it rests
_STEPS = 10  # of the attack with which Madry et al. and Rice et al. train
_MOST_IMAGES = 1_000_000  # that evaluation.size takes
_DECAYS = {"sgd": (5e-4, 1e-2), "adam": (5e-4, 1e-2), "adamw": (0.01, 0.5)}  # least, most
_MIRRORED = ("cifar10", "cifar100", "fashion_mnist", "image_folder")  # the image means the same


@dataclass(frozen=True)
class Remedy:
    """What to do, and where it begins: as the run did, at the run's end, or without its parent."""

    text: str
    overrides: list[str] = field(default_factory=list)
    begins: Literal["as it did", "at its end", "afresh"] = "as it did"


def _lower_lr(case: Case) -> Remedy:
    overrides = []
    if case.lr is not None:
        lr = case.lr / _CALMER
        overrides.append(f"lr={short(min(lr, case.usual_lr) if case.usual_lr else lr)}")
    limit = case.config.optimizer.clip_norm if case.config else None
    clip = limit is None or limit > 1
    overrides += ["clip_norm=1"] if clip else []
    if case.phase.constant or case.warmup > case.epochs / 2:
        overrides += plan(case, case.epochs)
    return Remedy("lower the learning rate" + (" and clip the gradient" if clip else ""), overrides)


def _free(case: Case) -> Remedy:
    """Out of the plateau at chance, where a constant guess is a stationary point."""
    lr, usual = case.lr, case.usual_lr
    if not case.attacked:
        return _another_lr(case)
    if lr is not None and usual is not None and lr > 4 * usual:
        return Remedy("lower the learning rate", [f"lr={short(usual)}", *_settle(case)])
    overrides = []
    if lr is not None and usual is not None and lr < usual / 4:
        overrides.append(f"lr={short(usual)}")
    epochs, text = case.epochs, "let eps rise from 0 over the first half"
    if case.eps_warmup >= case.epochs / 4:
        text = "let eps rise over more epochs"
        epochs = 2 * max(epochs, math.ceil(2 * case.eps_warmup))
    epochs = max(epochs, LEAST_EPOCHS)
    overrides += plan(case, epochs, eps_warmup=epochs // 2, afresh=True)
    if case.table.carried:  # at its first epoch eps would be halfway up already
        return Remedy(f"start afresh and {text}", overrides, "afresh")
    return Remedy(text, overrides)


def _another_lr(case: Case) -> Remedy:
    """Where no attack makes the plateau."""
    if case.lr is None or case.usual_lr is None:
        return Remedy("try a learning rate ten times lower or higher")
    lower = case.lr >= case.usual_lr
    lr = case.lr / 10 if lower else case.lr * 10
    text = "lower the learning rate" if lower else "raise the learning rate"
    return Remedy(text, [f"lr={short(lr)}", *_settle(case)])


def _settle(case: Case) -> list[str]:
    """Drops of a constant lr, after which a noisy loss comes to rest."""
    return plan(case, case.epochs) if case.phase.constant else []


def _calm(case: Case) -> Remedy:
    if case.phase.constant:
        return Remedy("let the learning rate drop", _settle(case))
    return Remedy("lower the learning rate", [f"lr={short(case.lr / 3)}"] if case.lr else [])


def _stronger_attack(case: Case) -> Remedy:
    attack = case.config.attack if case.config else None
    steps = max(_STEPS, 2 * attack.steps if attack and attack.steps > 1 else 0)
    overrides = [f"steps={steps}"]
    if attack is None or attack.start != "uniform":
        overrides.append("start=uniform")
    if attack is None or attack.alpha != USUAL_ALPHA:
        overrides.append(f"alpha={USUAL_ALPHA}")
    if case.config and case.config.evaluation.steps < 2 * steps:
        overrides.append(f"evaluation.steps={2 * steps}")
    return Remedy("give the training attack more steps from a random start", overrides)


def _multi_step(case: Case) -> Remedy:
    stronger, config = _stronger_attack(case), case.config
    if config is not None and config.objective.name in ("fgsm", "free"):
        many = [] if config.attack.steps > 1 else stronger.overrides
        return Remedy(
            "train on an attack of several steps", ["objective=pgd", *many, *_settle(case)]
        )
    return Remedy(stronger.text, [*stronger.overrides, *_settle(case)])


def _more_epochs(case: Case) -> Remedy:
    if case.phase.exhausted:
        return _longer(case)
    return _schedules_end(case) if case.phase.smooth else _go_on(case)


def _longer(case: Case) -> Remedy:
    overrides = plan(case, 2 * case.epochs)
    if case.lr and case.highest_lr and case.lr < 0.99 * case.highest_lr:  # its parent's
        overrides.insert(0, f"lr={case.highest_lr:.6g}")
    text = "the learning rate is spent: a longer schedule"
    return Remedy(text if case.table.carried else f"{text} from the start", overrides)


def _go_on(case: Case) -> Remedy:
    """As many epochs again; lr drops in their second half, so that the loss comes to rest."""
    begin = max(case.done, case.warm)
    end = begin + max(case.done, LEAST_EPOCHS)
    if end <= case.epochs:  # it stopped early
        end = case.epochs + _MORE_EPOCHS
    drops = [begin + (end - begin) // 2, begin + (end - begin) * 3 // 4]
    overrides = [f"epochs={end}", piecewise(case, drops), *to_the_end(case)]
    last = case.last_lr
    if last and case.lr and case.done >= case.warm and abs(last / case.lr - 1) > 1e-6:
        overrides.insert(0, f"lr={last:.6g}")  # earlier drops are not in the new schedule
    return Remedy("go on for more epochs, then let the learning rate drop", overrides, "at its end")


def _schedules_end(case: Case) -> Remedy:
    """Of a smooth schedule that the run ended before, by its epochs or by early stopping."""
    text, config = "let the learning rate's schedule run to its end", case.config
    if config is None:
        return Remedy(text)
    overrides = [f"epochs={config.horizon}"] if config.horizon > case.epochs else []
    return Remedy(text, [*overrides, *to_the_end(case)], "at its end")


def _long_enough(case: Case) -> Remedy:
    """More epochs after the last change of lr or eps, or more altogether."""
    if case.done < LEAST_EPOCHS:
        least = case.epochs + _MORE_EPOCHS if case.done < case.epochs else 0  # it stopped early
        epochs = max(LEAST_EPOCHS, 4 * case.done, least)
        return Remedy("train for more epochs", plan(case, epochs))
    if case.phase.smooth and not case.phase.exhausted:
        return _schedules_end(case)
    rose = case.done - case.warm < rules.SHORTEST_SINCE_JUMP  # eps did, while lr was spent
    if case.phase.exhausted and (case.phase.smooth or rose):
        return _longer(case)
    end = max(case.done, case.epochs, case.warm) + _MORE_EPOCHS
    for drop in map(math.ceil, milestones(case.config) if case.config else []):
        if drop < end:
            end = max(end, drop + _MORE_EPOCHS)
    return Remedy("go on for more epochs", [f"epochs={end}", *to_the_end(case)], "at its end")


def _regularise(case: Case) -> Remedy:
    if case.config is None:
        return Remedy("regularise more, or train on more images", _settle(case))
    overrides, settle = [], _settle(case)
    least, most = _DECAYS[case.config.optimizer.name]
    decay = case.config.optimizer.weight_decay
    if decay < most:
        overrides = [f"weight_decay={short(min(10 * max(decay, least), most))}"]
        return Remedy("regularise more", [*overrides, *settle])
    if _can_augment(case.config):
        return Remedy("augment the training images, or use more", ["augment=crop+flip", *settle])
    return Remedy("train on more images, or a smaller network", settle)


def _can_augment(config: Config) -> bool:
    return config.dataset.augment == "none" and config.dataset.name in _MIRRORED


def _stop_at_best(case: Case) -> Remedy:
    """Let lr drop at the best epoch and end soon after it, before the decline."""
    best = int(str(case.axes["held_out"].numbers["best_epoch"]))
    drop = max(case.counted(best), case.warm, case.table.carried, 1)
    where = f"the best epoch ({best})" if drop == case.counted(best) else (
        f"epoch {drop} (the best was {best})"
    )  # fmt: skip
    text = f"let the learning rate drop at {where} and stop soon after it"
    if case.config and case.config.dataset.val_size:
        text += "; best.pt has the best on validation"
    schedule = piecewise(case, [drop, drop + _COOLING // 2])
    return Remedy(text, [f"epochs={drop + _COOLING}", schedule, *to_the_end(case)])


def _more_images(case: Case) -> Remedy:
    found = case.axes["level"].numbers.get("images_needed")
    needed = int(found) if isinstance(found, int | float) else 0
    now = case.config.evaluation.size if case.config else 0
    if not now < needed <= min(case.table.test_images or _MOST_IMAGES, _MOST_IMAGES):
        return Remedy("train more seeds: the test images are too few to tell")
    unit = 10 ** max(0, len(str(needed)) - 2)
    size = min(math.ceil(needed / unit) * unit, _MOST_IMAGES)
    text = f"evaluate on about {size} images, or train more seeds"
    return Remedy(text, [f"evaluation.size={size}"])


def _classes(case: Case) -> Remedy | None:
    return None if case.config else Remedy("say how many classes there are: --classes K")


REMEDIES: dict[str, Callable[[Case], Remedy | None]] = {
    "nonfinite": _lower_lr,
    "diverged": _lower_lr,
    "collapsed": _lower_lr,
    "stuck": _free,
    "at_chance": _free,
    "rising": _calm,
    "oscillating": _calm,
    "catastrophic_overfitting": _multi_step,
    "broken": _multi_step,
    "weak": _stronger_attack,
    "too_short": _long_enough,
    "descending": _more_epochs,
    "improving": _more_epochs,
    "train_unresolved": _more_epochs,
    "unresolved": _more_epochs,
    "departs": _more_epochs,
    "lr_moves": _schedules_end,
    "worsening": _regularise,
    "robust_overfitting": _stop_at_best,
    "level_unresolved": _more_images,
    "chance_unknown": _classes,
}
