"""A few training steps by several processes, in float64, and the same by one.

    torchrun --nproc-per-node N -m tests.helpers.together FOLDER

trains every case and leaves what each process found in FOLDER. In float64 rounding stays below
1e-12 over these steps, so that what differs by more is another computation.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from advtrain.learning.attacks.ball import Ball
from advtrain.learning.attacks.evaluating import EvaluatingAttack
from advtrain.learning.data.splits import Data
from advtrain.learning.distributed.group import ALONE, Group, joined
from advtrain.learning.distributed.sync_norm import synchronised
from advtrain.learning.loop import Hooks, train_epochs
from advtrain.learning.measuring.score import evaluate
from advtrain.learning.models import build_model
from advtrain.learning.optimizer import averaged, build_optimizer
from advtrain.learning.session import Session
from tests.helpers.reference_methods import flat
from tests.helpers.steps import SHAPE, config_of, splits

# Of 27 images in batches of 7 the last has 6: on 2 or 3 processes shares are of different sizes.
IMAGES, BATCH = 27, 7


class Normed(nn.Sequential):
    """Both kinds of batch norm; one keeps a plain mean of what it has seen."""

    def __init__(self, in_shape: tuple[int, int, int], num_classes: int) -> None:
        super().__init__(
            nn.Conv2d(in_shape[0], 4, 3, padding=1), nn.BatchNorm2d(4), nn.Tanh(), nn.Flatten(),
            nn.Linear(4 * in_shape[1] * in_shape[2], 8), nn.BatchNorm1d(8, momentum=None),
            nn.ReLU(), nn.Linear(8, num_classes),
        )  # fmt: skip


CASES: dict[str, dict[str, Any]] = {
    "plain": {"norm": False},
    "augmented l2": {
        "norm": False,
        "attack": {"norm": "l2", "eps": 0.5, "steps": 2, "restarts": 2},
        "dataset": {"name": "digits", "augment": "crop+flip"},
    },
    # Without batch norm: it makes some gradients zero but for rounding, and adam such all alike.
    "clipped adam": {
        "norm": False,
        "optimizer": {"name": "adam", "lr": 0.01, "clip_norm": 0.3},
    },
    "clipped": {"optimizer": {"name": "sgd", "lr": 0.2, "clip_norm": 0.3}},
    "pgd": {},
    "attacked in training mode": {"attack": {"eps": 0.1, "steps": 2, "model_mode": "train"}},
    "mixed": {"objective": {"name": "mixed", "label_smoothing": 0.1}},
    "trades": {"objective": {"name": "trades"}, "attack": {"steps": 2, "start": "zero"}},
    "mart": {"objective": {"name": "mart"}},
    "fgsm": {"objective": {"name": "fgsm", "start": "noise"}},
    "gradalign": {"objective": {"name": "fgsm", "gradalign": 0.5}},
    "free": {"objective": {"name": "free", "replays": 2}},
    "awp": {"objective": {"name": "pgd", "awp": 0.05}, "ema": 0.9},
    "trades awp": {"objective": {"name": "trades", "awp": 0.05}},
    "standard": {"objective": {"name": "standard"}},
    "local": {"local": True},
    "bad": {"norm": False, "bad": 11},
}


def network(norm: bool) -> nn.Module:
    """Always the same weights."""
    torch.manual_seed(0)
    name, args = (
        ("import:tests.helpers.together:Normed", {}) if norm else ("mlp", {"width": 8, "depth": 1})
    )
    return build_model(name, in_shape=SHAPE, num_classes=3, **args).double()


def images(bad: int | None) -> Data:
    """The images in float64; that at position `bad` is not a number."""
    data = splits(IMAGES)
    x = data.train.images.double()
    if bad is not None:
        x[bad] = float("nan")
    return replace(data, train=replace(data.train, images=x),
                   test=replace(data.test, images=x))  # fmt: skip


def found(case: str, group: Group = ALONE) -> dict[str, Any]:
    """The weights after each step, the epochs' records, and all buffers at the end."""
    keys = dict(CASES[case])
    norm, local, ema = keys.pop("norm", True), keys.pop("local", False), keys.pop("ema", None)
    data = images(keys.pop("bad", None))
    config = config_of(
        keys.pop("objective", {"name": "pgd"}),
        **{"attack": {"eps": 0.1, "steps": 2}, "evaluation": {"steps": 2}} | keys,
        training={"epochs": 2, "batch_size": BATCH},
    )
    model = network(norm)
    if not local and group.size > 1:
        synchronised(model, group)
    average = averaged(model, ema) if ema else None
    optimizer = build_optimizer(model, config.optimizer)
    trace: list[torch.Tensor] = []
    optimizer.register_step_post_hook(lambda *_: trace.append(flat(model.parameters())))
    session = Session(config, data, model, optimizer, average=average, group=group)
    records = [record.values() for record in train_epochs(session, Hooks())]
    return {
        "trace": torch.stack(trace),
        "records": records,
        "buffers": [b.double() for each in (model, average) if each for b in each.buffers()],
        "bad": (session.progress.stopped, session.progress.bad_batch),
    }


def scored(count: int, group: Group = ALONE) -> list[float | None]:
    """An evaluation of so many images, of which a process may have none."""
    on = images(None).test.take(torch.arange(count).numpy())
    attack = EvaluatingAttack(Ball("linf", 0.1), steps=2)
    score = evaluate(network(True), on, attack, fgsm=True, doubled=True, group=group)
    return list(vars(score).values())


def main() -> None:
    """What this process finds, as a file of its own."""
    with joined() as group:
        everything: dict[str, Any] = {case: found(case, group) for case in CASES}
        everything["scored"] = [scored(count, group) for count in (1, 2, IMAGES)]
        torch.save(everything, Path(sys.argv[1]) / f"{group.rank}.pt")


if __name__ == "__main__":
    main()
