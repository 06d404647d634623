"""One epoch's measurements: the only definition of the columns of metrics.csv.

Losses are mean cross-entropies in nats without penalties, accuracies fractions in [0, 1],
norms l2. None stands for "not measured" and is an empty cell in the CSV.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Row = list[str]  # the cells of a row, in the order of COLUMNS


@dataclass
class EpochRecord:
    """The row written after an epoch. `epoch` counts from 1, `step` optimizer steps so far."""

    epoch: int
    step: int
    lr: float | None = None  # at the epoch's last step
    eps: float | None = None  # of the training attack, at the epoch's last step
    train_clean_loss: float | None = None  # on a fixed 1,000 training images, in eval mode
    train_clean_acc: float | None = None
    train_robust_loss: float | None = None  # over the epoch's own batches, as they came
    train_robust_acc: float | None = None
    val_clean_loss: float | None = None
    val_clean_acc: float | None = None
    val_robust_loss: float | None = None
    val_robust_acc: float | None = None
    test_clean_loss: float | None = None
    test_clean_acc: float | None = None
    test_robust_loss: float | None = None
    test_robust_acc: float | None = None
    test_fgsm_acc: float | None = None  # under one full-eps step from the image itself
    test_robust_loss_2x: float | None = None  # the same trajectories carried on to twice the steps
    fosc_train: float | None = None  # first-order stationary condition (Wang et al. 2019), nats
    fosc_test: float | None = None
    grad_norm: float | None = None  # mean over the epoch's steps, before clipping
    weight_norm: float | None = None
    images_per_second: float | None = None  # training alone
    seconds: float | None = None  # the whole epoch, evaluation included
    # Of 64 fixed training images: clean, under the training attack, carried on to twice its steps
    probe_clean_loss: float | None = None
    probe_robust_loss: float | None = None
    probe_robust_loss_2x: float | None = None
    probe_robust_acc: float | None = None
    probe_pgd_acc: float | None = None  # under the evaluation's attack
    probe_vanished: float | None = None  # share of the unsure ones whose input gradient vanishes
    # Mean cosine of their input gradients at the image and at a random point of the ball
    grad_alignment: float | None = None
    # Of the averaged weights (training.ema), on the images of val and test
    ema_val_clean_loss: float | None = None
    ema_val_clean_acc: float | None = None
    ema_val_robust_loss: float | None = None
    ema_val_robust_acc: float | None = None
    ema_test_clean_loss: float | None = None
    ema_test_clean_acc: float | None = None
    ema_test_robust_loss: float | None = None
    ema_test_robust_acc: float | None = None

    def row(self) -> Row:
        """The cells of the CSV row; floats in full, so that reading gives the same number."""
        return ["" if v is None else repr(v) for v in self.values()]

    @classmethod
    def of_row(cls, row: Sequence[str]) -> EpochRecord:
        """The record of a CSV row; ValueError if a cell is not a number."""
        record = cls(0, 0)
        for name, cell in zip(COLUMNS, row, strict=True):
            number = int if name in INTEGERS else float
            setattr(record, name, number(cell) if cell else None)
        return record

    def values(self) -> list[float | None]:
        """The values in the order of COLUMNS."""
        return [getattr(self, name) for name in COLUMNS]

    def line(self, epochs: int) -> str:
        """The epoch in one line of text."""
        parts = [f"epoch {self.epoch}/{epochs}", f"lr {self.lr or 0:.4g}"]
        for split, kind in (("train", "clean"), ("train", "robust"), ("test", "clean"),
                            ("test", "robust")):  # fmt: skip
            loss = getattr(self, f"{split}_{kind}_loss")
            acc = getattr(self, f"{split}_{kind}_acc")
            if loss is not None and acc is not None:
                parts.append(f"{split} {kind} {loss:.4f} {acc:.1%}")
        return "  ".join([*parts, f"{self.images_per_second or 0:.0f} images/s"])

    @property
    def finite(self) -> bool:
        """Whether every measured number is."""
        return all(math.isfinite(v) for v in self.values() if v is not None)


@dataclass(frozen=True)
class SplitScore:
    """The last weights on all images of a split: a row of final.csv.

    `split` is val or test, with `ema_` before it for averaged weights.
    """

    split: str
    images: int
    clean_loss: float
    clean_acc: float
    robust_loss: float
    robust_acc: float


COLUMNS = tuple(f.name for f in fields(EpochRecord))
INTEGERS = ("epoch", "step")
TIMES = ("images_per_second", "seconds")  # the columns that differ between equal runs


@dataclass
class Progress:
    """How far a run is; with the weights and the optimizer's state, all that resuming needs."""

    epoch: int = 0  # epochs done
    step: int = 0  # optimizer steps done
    best_epoch: int = 0  # by validation; 0: none yet
    best_acc: float = -1.0
    best_loss: float = float("inf")
    carried: int = 0  # epochs of the run that this one goes on from
    stopped: str = ""  # "early_stopping", "nonfinite" or a state of stop_on, if it ended early
    bad_batch: int = 0  # of the epoch that ended as "nonfinite", from 1

    def is_best(self, acc: float, loss: float) -> bool:
        """Whether the validation figures beat all before; the loss decides between equals."""
        return (acc, -loss) > (self.best_acc, -self.best_loss)


@dataclass(frozen=True)
class Position:
    """Where within an epoch a run is: beside `Progress`, all that going on from there needs."""

    step: int  # optimizer steps done when the epoch began
    done: int = 0  # its batches
    seconds: float = 0.0  # their training took
    lr: float = 0.0  # at the last step
    strength: float = 0.0  # the factor of eps there
    sums: dict[str, Any] = field(default_factory=dict)  # what the epoch's record is made of
    delta: Tensor | None = None  # what `free` hands on to the next batch
