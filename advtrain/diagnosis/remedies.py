"""One remedy for each cause of not converging: what to change, and why."""

from __future__ import annotations

import math
from collections.abc import Callable

from advtrain.config.schema import Config
from advtrain.diagnosis.case import Case
from advtrain.diagnosis.changes import Change, Remedy, epochs, short, to_the_end
from advtrain.diagnosis.remedies_of_attack import multi_step, stronger_attack
from advtrain.diagnosis.remedies_of_lr import calm, leave_plateau, lower_lr, settle
from advtrain.diagnosis.remedies_of_time import long_enough, more_epochs, schedules_end
from advtrain.diagnosis.schedules import piecewise

_COOLING = 20  # epochs of low lr after the best one: enough to see that it rests
_MOST_IMAGES = 1_000_000  # that evaluation.size takes
_DECAYS = {"sgd": (5e-4, 1e-2), "adam": (5e-4, 1e-2), "adamw": (0.01, 0.5)}  # least, most
_MIRRORED = ("cifar10", "cifar100", "fashion_mnist", "image_folder")  # the image means the same


def _regularise(case: Case) -> Remedy:
    rest = settle(case)
    why = "because held-out performance falls while training goes on"
    if case.config is None:
        return Remedy([Change("regularise more, or train on more images", why), *rest])
    least, most = _DECAYS[case.config.optimizer.name]
    decay = case.config.optimizer.weight_decay
    if decay < most:
        more = short(min(10 * max(decay, least), most))
        what = f"raise weight decay from {decay:g} to {more}"
        return Remedy([Change(what, why, (f"weight_decay={more}",)), *rest])
    if _can_augment(case.config):
        what = "augment the training images by random crops and flips, or use more images"
        return Remedy([Change(what, why, ("augment=crop+flip",)), *rest])
    return Remedy([Change("train on more images, or a smaller network", why), *rest])


def _can_augment(config: Config) -> bool:
    return config.dataset.augment == "none" and config.dataset.name in _MIRRORED


def _stop_at_best(case: Case) -> Remedy:
    """Let lr drop at the best epoch and end soon after it, before the decline."""
    best = int(str(case.axes["held_out"].numbers["best_epoch"]))
    drop = max(case.counted(best), case.warm, case.table.carried, 1)
    why = f"because epoch {best} was the best"
    schedule = piecewise(case, [drop, drop + _COOLING // 2], drop + _COOLING, why)
    changes = [schedule, *epochs(case, drop + _COOLING, "to stop before the decline")]
    changes += to_the_end(case)
    if case.config and case.config.dataset.val_size:
        changes.append(Change("or use best.pt", "which has the weights best on validation"))
    return Remedy(changes)


def _more_images(case: Case) -> Remedy:
    found = case.axes["level"].numbers.get("images_needed")
    needed = int(found) if isinstance(found, int | float) else 0
    now = case.config.evaluation.size if case.config else 0
    if not now < needed <= min(case.table.test_images or _MOST_IMAGES, _MOST_IMAGES):
        return Remedy([Change("train more seeds", "because the test images are too few to tell")])
    unit = 10 ** max(0, len(str(needed)) - 2)
    size = min(math.ceil(needed / unit) * unit, _MOST_IMAGES)
    what = f"evaluate each epoch on {size} test images instead of {now}, or train more seeds"
    return Remedy([Change(what, "because so few do not tell", (f"evaluation.size={size}",))])


def _classes(case: Case) -> Remedy | None:
    return None if case.config else Remedy([Change("say how many classes there are: --classes K")])


REMEDIES: dict[str, Callable[[Case], Remedy | None]] = {
    "nonfinite": lower_lr,
    "diverged": lower_lr,
    "collapsed": lower_lr,
    "stuck": leave_plateau,
    "at_chance": leave_plateau,
    "rising": calm,
    "oscillating": calm,
    "catastrophic_overfitting": multi_step,
    "broken": multi_step,
    "weak": stronger_attack,
    "too_short": long_enough,
    "descending": more_epochs,
    "improving": more_epochs,
    "train_unresolved": more_epochs,
    "unresolved": more_epochs,
    "departs": more_epochs,
    "lr_moves": schedules_end,
    "worsening": _regularise,
    "robust_overfitting": _stop_at_best,
    "level_unresolved": _more_images,
    "chance_unknown": _classes,
}
