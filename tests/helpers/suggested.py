"""Made-up runs of every kind of config, and what following a suggestion makes of them."""

from __future__ import annotations

import itertools
import math
import random
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from advtrain.config.identity import to_yaml
from advtrain.config.load import load_config
from advtrain.config.schema import Config
from advtrain.config.validation import problems_of
from advtrain.diagnosis.segments import Phases, phases
from advtrain.diagnosis.suggestion import Suggestion, suggest
from advtrain.diagnosis.table import Axis, Labels, Table
from advtrain.learning.schedule import eps_factor, lr_factor
from advtrain.store.parent import Parent, continued

BATCHES = 10  # an epoch
PARENT = "/somewhere/else/runs/t/eps0.1-s0-00000001"


def config_of(**sections: Any) -> Config:
    found, problems = problems_of(
        {"name": "t", "model": "small_cnn", "dataset": "digits", **sections}
    )
    assert found is not None and not problems, problems
    return found


def lr_of(config: Config, first: int = 1) -> list[float]:
    """The learning rate at the end of each epoch from this one on."""
    return [
        config.optimizer.lr
        * lr_factor(config.schedule, epoch * BATCHES - 1, BATCHES, config.horizon)
        for epoch in range(first, config.training.epochs + 1)
    ]


def full_eps(config: Config) -> int:
    """The first epoch that begins at full eps."""
    return next(
        epoch
        for epoch in itertools.count(1)
        if eps_factor(config.schedule, (epoch - 1) * BATCHES, BATCHES, config.horizon) == 1
    )


def drops(lr: list[float], first: int = 1) -> list[int]:
    """The epochs after which lr falls to less than two thirds."""
    pairs = itertools.pairwise(lr)
    return [first + i for i, (before, after) in enumerate(pairs) if after < before * 2 / 3]


@dataclass
class Made:
    """A run of this config, with the epochs that it has and those that it took over."""

    config: Config
    done: int
    carried: int = 0
    state: str = "finished"
    best: int = 1
    needed: int = 5000
    test_images: int | None = 10_000
    accuracy: float = 0.5  # held-out, in every epoch
    parent: Config = field(default_factory=lambda: config_of(training={"epochs": 30}))

    @property
    def table(self) -> Table:
        before = self.parent.model_copy(
            update={"training": self.parent.training.model_copy(update={"epochs": self.carried})}
        )
        lr = [*(lr_of(before) if self.carried else []), *lr_of(self.config, self.carried + 1)]
        return Table(
            np.arange(1, self.done + 1),
            {
                "lr": np.array(lr[: self.done]),
                "train_robust_loss": np.ones(self.done),
                "test_robust_acc": np.full(self.done, self.accuracy),
            },
            config=self.config,
            labels=Labels.balanced(10),
            images=360,
            test_images=self.test_images,
            parent=PARENT if self.carried else None,
            carried=self.carried,
            state=self.state,
        )

    @property
    def phase(self) -> Phases:
        return phases(self.table)

    def suggested(self, cause: str, run: str = "runs/t/x") -> Suggestion | None:
        return suggest(cause, axes(self.best, self.needed), self.phase, self.table, run)


def axes(best: int = 1, needed: int | None = None, inner: str = "solved") -> dict[str, Axis]:
    return {
        "inner": Axis(inner, "made up"),
        "train": Axis("flat", "made up"),
        "held_out": Axis("settled", "made up", {"best_epoch": best}),
        "level": Axis("above_chance", "made up", {"images_needed": needed}),
    }


@dataclass
class Followed:
    """What the suggested command trains: the config, and after which epoch of whose run."""

    config: Config
    begin: int
    goes_on: str | None

    @property
    def lr(self) -> list[float]:
        """Of its own epochs."""
        return lr_of(self.config, self.begin + 1)

    @property
    def drops(self) -> list[int]:
        return drops(self.lr, self.begin + 1)

    @property
    def last_phase(self) -> int:
        """Epochs at the last lr and at full eps."""
        changes = [self.begin, full_eps(self.config) - 1, *self.drops]
        return self.config.training.epochs - max(changes)


def follow(made: Made, command: str, folder: Path) -> Followed:
    """Apply a command as `advtrain train` does, to the config.yaml that the run has."""
    words = shlex.split(command)
    assert words[:3] == ["advtrain", "train", "runs/t/x/config.yaml"]
    assert "--runs-dir" not in words
    goes_on = words[words.index("--from") + 1] if "--from" in words else None
    overrides = [word for word in words[3:] if "=" in word]
    assert len(words) == 3 + len(overrides) + (2 if goes_on else 0)
    file = folder / "config.yaml"
    file.write_text(to_yaml(made.config))
    config, begin = load_config(file, overrides), 0
    if goes_on is not None:
        begin = made.done if goes_on == "runs/t/x" else made.carried
        before = made.config if goes_on == "runs/t/x" else made.parent
        assert goes_on in ("runs/t/x", PARENT)
        config = continued(config, Parent(Path(goes_on), begin, before, True))
    return Followed(config, begin, goes_on)


def schedules(n: int) -> list[dict[str, Any]]:
    """Schedules of runs of n epochs."""
    return [
        {"name": "constant"},
        {"name": "constant", "warmup": n / 8},
        {"name": "constant", "warmup": n},
        {"name": "constant", "eps_warmup": n // 2},
        {"name": "constant", "eps_warmup": 0.8 * n},
        {"name": "constant", "warmup": n, "horizon": 2 * n},
        {"name": "piecewise"},
        {"name": "piecewise", "milestones": []},
        {"name": "piecewise", "milestones": [0.5]},
        {"name": "piecewise", "milestones": [0.2, 0.9]},
        {"name": "piecewise", "milestones": [0.5, 0.75], "gamma": 0.5},
        {"name": "piecewise", "milestones": [1, 2 + n // 3]},
        {"name": "piecewise", "milestones": [n // 2, 3 * n // 4], "horizon": n},
        {"name": "piecewise", "milestones": [2 * n, 3 * n]},
        {"name": "piecewise", "warmup": n / 10, "eps_warmup": n / 4},
        {"name": "piecewise", "eps_warmup": 0.9 * n},
        {"name": "piecewise", "horizon": 2 * n, "eps_warmup": 1.5 * n},
        {"name": "piecewise", "horizon": math.ceil(n / 2), "warmup": n / 4},
        {"name": "cosine"},
        {"name": "cosine", "horizon": 3 * n, "eps_warmup": 2 * n},
        {"name": "cosine", "horizon": math.ceil(n / 2), "warmup": 1},
        {"name": "cyclic"},
        {"name": "cyclic", "eps_warmup": n // 2},
        {"name": "cyclic", "horizon": 2 * n, "warmup": n},
    ]


def runs(cause: str, draws: int = 1) -> list[Made]:
    """A run for each schedule and length; what else may matter is drawn."""
    draw, found = random.Random(cause), []
    for n in (5, 40, 200):
        for schedule in [s for s in schedules(n) for _ in range(draws)]:
            name = draw.choice(["sgd", "adam", "adamw"])
            usual = {"sgd": 0.05}.get(name, 1e-3)
            early = draw.random() < 0.3 and n > 5
            config = config_of(
                schedule=schedule,
                optimizer={
                    "name": name,
                    "lr": usual * draw.choice([1, 1, 0.1, 0.5, 8]),
                    "clip_norm": draw.choice([None, 0.5, 5]),
                    "weight_decay": draw.choice([0, 5e-4, 0.01, 0.5]),
                },
                objective=draw.choice(["pgd", "pgd", "standard", "mixed"]),
                attack={
                    "eps": draw.choice([0.1, 0.1, 0]),
                    "steps": draw.choice([1, 10, 15]),
                    "start": draw.choice(["zero", "uniform"]),
                    "alpha": draw.choice([0.01, "2.5*eps/steps"]),
                },
                evaluation={"steps": draw.choice([15, 100])},
                dataset={"name": draw.choice(["digits", "cifar10"]), "val_size": 0.1},
                training={"epochs": n, "early_stopping": 3 if early else None},
            )
            if not early and draw.random() < 0.3:
                config = config.model_copy(
                    update={"dataset": config.dataset.model_copy(update={"val_size": 0})}
                )
            carried = draw.choice([0, 0, 0, n // 3])
            done = draw.randint(carried + 1, n - 1) if early else n
            best, accuracy = draw.randint(1, done), draw.choice([0.1, 0.5])
            found.append(Made(config, done, carried, best=best, accuracy=accuracy))
    return found
