"""How the words of a suggestion name each key that it changes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from advtrain.config.schema import Config
from advtrain.diagnosis.suggestion import Suggestion
from tests.helpers.suggested import Followed, Made


def flat(config: Config) -> dict[str, Any]:
    """Every key of a config with its value."""
    return {
        f"{section}.{key}" if isinstance(values, dict) else section: value
        for section, values in config.model_dump().items()
        for key, value in (values.items() if isinstance(values, dict) else [("", values)])
    }


def drops(before: dict[str, Any], after: Followed) -> str:
    schedule = after.config.schedule
    span = schedule.horizon or after.config.training.epochs
    found = [m if m >= 1 else math.ceil(m * span) for m in schedule.milestones]
    return f"drop (tenfold )?after epochs {'( and |, )'.join(f'{m:g}' for m in found)}"


def span(before: dict[str, Any], after: Followed) -> str:
    found = after.config.schedule.horizon
    return f"span {found} epochs" if found else (
        f"span all epochs|schedule over {before['schedule.horizon']} epochs"
    )  # fmt: skip


def name(before: dict[str, Any], after: Followed) -> str:
    old = before["schedule.name"]
    return "drop tenfold" if old == "constant" else f"in place of the {old} schedule"


# How each key that a suggestion may change is named, from the keys before and the run after.
WORDS: dict[str, Callable[[dict[str, Any], Followed], str]] = {
    "optimizer.lr": lambda before, after: (
        rf"learning rate (from {before['optimizer.lr']:g} to|at) {after.config.optimizer.lr:.6g}\b"
    ),
    "optimizer.clip_norm": lambda *_: "clip the gradient to norm 1",
    "optimizer.weight_decay": lambda before, after: (
        rf"weight decay from {before['optimizer.weight_decay']:g} to "
        rf"{after.config.optimizer.weight_decay:g}\b"
    ),
    "training.epochs": lambda before, after: (
        f"train {after.config.training.epochs} epochs instead of {before['training.epochs']}"
    ),
    "training.early_stopping": lambda *_: "turn early stopping off",
    "schedule.name": name,
    "schedule.milestones": drops,
    "schedule.gamma": lambda *_: "tenfold",
    "schedule.warmup": lambda *_: "without its warm-up|leave out the warm-up",
    "schedule.eps_warmup": lambda _, after: (
        f"eps rise from 0 over the first {after.config.schedule.eps_warmup:g} epochs"
    ),
    "schedule.horizon": span,
    "attack.steps": lambda _, after: f"training attack {after.config.attack.steps} steps",
    "attack.start": lambda *_: "from a random start",
    "attack.alpha": lambda *_: r"of size 2\.5\*eps/steps",
    "evaluation.steps": lambda _, after: f"evaluate with {after.config.evaluation.steps} steps",
    "evaluation.size": lambda _, after: f"on {after.config.evaluation.size} test images",
    "objective.name": lambda before, _: f"train on PGD instead of {before['objective.name']}",
    "dataset.augment": lambda *_: "augment the training images by random crops and flips",
}
_OF_A_NAME = {  # keys that come and go with the name of their section
    "schedule.peak", "schedule.gamma", "schedule.milestones", "objective.start", "objective.alpha",
    "objective.noise", "objective.replays", "objective.gradalign", "objective.weight",
}  # fmt: skip


def unsaid(made: Made, found: Suggestion, after: Followed) -> list[str]:
    """The keys that following a suggestion changes and its text does not name."""
    before, now = flat(made.config), flat(after.config)
    if after.goes_on == "runs/t/x" and after.config.horizon == made.config.horizon:
        now["schedule.horizon"] = before["schedule.horizon"]  # it stays, written out or not
    changed = [key for key in now if before.get(key, now[key]) != now[key]]
    changed += [
        key for key in ("schedule.milestones", "schedule.gamma") if key in now.keys() - before
    ]
    lost = [key for key in before.keys() - now.keys() - _OF_A_NAME if before[key]]
    return lost + [key for key in changed if not re.search(WORDS[key](before, after), found.text)]
