"""The curves of a training and what is known beside them: all that a verdict rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from advtrain.config.schema import Config
from advtrain.diagnosis import rules

Floats = NDArray[np.float64]
Numbers = dict[str, float | int | None]


@dataclass(frozen=True)
class Labels:
    """What guessing gives: entropy in nats of the training labels, share of the largest class.

    `assumed`: nobody has counted them.
    """

    classes: int
    entropy: float
    majority: float
    assumed: bool = False

    @classmethod
    def balanced(cls, classes: int, *, assumed: bool = False) -> Labels:
        """Equally many examples of each class."""
        return cls(classes, math.log(classes), 1 / classes, assumed)

    @property
    def chance(self) -> float:
        """The accuracy up to which a network does no better than guessing."""
        extra = min(rules.CHANCE_SHARE * self.majority, rules.CHANCE_POINTS)
        return self.majority + extra

    @property
    def learned(self) -> float:
        """The accuracy from which there is something to lose."""
        return min(rules.BEST_OVER_MAJORITY * self.majority, (1 + self.majority) / 2)


@dataclass(frozen=True)
class Table:
    """One row an epoch, in order and without duplicates; NaN where not measured.

    `columns` are named as in records.py, accuracies fractions, losses nats. `config` is that of
    one's own run; of someone else's there may be neither that nor `labels`. `images` are those
    behind the held-out figures, but for the epochs in `whole`, which are measured on all of
    `test_images`. The first `carried` epochs are those of the run `parent`, from which this one
    goes on; `changed` are the sections in which their configs differ. `weights`: the run's last.pt
    is there; `parent_waits`: the parent's is, too, after as many epochs as were taken over.
    """

    epoch: NDArray[np.int64]
    columns: Mapping[str, Floats]
    config: Config | None = None
    labels: Labels | None = None
    images: int | None = None
    whole: tuple[int, ...] = ()
    test_images: int | None = None
    parent: str | None = None
    carried: int = 0
    changed: tuple[str, ...] = ()
    weights: bool = True
    parent_waits: bool = True
    state: str = "finished"  # as `advtrain status` shows it
    bad_epoch: int | None = None  # since which a loss or weight was not finite
    notes: tuple[str, ...] = field(default=())  # how the table was read, where that matters

    def __len__(self) -> int:
        return len(self.epoch)

    @property
    def finished(self) -> bool:
        """Whether there are no epochs to come."""
        return self.state == "finished"

    def get(self, name: str) -> Floats:
        """A column; all NaN if there is none."""
        found = self.columns.get(name)
        return np.full(len(self), np.nan) if found is None else found

    def has(self, *names: str) -> bool:
        """Whether all these columns were measured together, in one epoch at least."""
        return bool(np.logical_and.reduce([np.isfinite(self.get(name)) for name in names]).any())

    @property
    def comparable(self) -> NDArray[np.bool_]:
        """Which rows' held-out figures are measured on the same images."""
        return ~np.isin(self.epoch, self.whole)

    @property
    def clean_training(self) -> bool:
        """Whether there is no adversary in the training."""
        if self.config is not None:
            return self.config.objective.name == "standard"
        names = [n for n in self.columns if "_robust_" in n or n.startswith(("probe", "test_fgsm"))]
        return not any(self.has(name) for name in names)

    @property
    def kind(self) -> str:
        """What is judged: `robust`, or `clean` where nobody attacks the training."""
        return "clean" if self.clean_training else "robust"


@dataclass(frozen=True)
class Axis:
    """One axis of a verdict: its state, the rule that gave it, numbers, and epochs looked at."""

    state: str
    rule: str
    numbers: Numbers = field(default_factory=dict)
    epochs: tuple[int, int] | None = None

    def to_json(self) -> dict[str, object]:
        """The axis as verdict.json has it; numbers that are not finite become null."""
        numbers = {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in self.numbers.items()
        }
        return {
            "state": self.state,
            "rule": self.rule,
            "numbers": numbers,
            "epochs": list(self.epochs) if self.epochs else None,
        }
