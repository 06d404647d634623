"""What a remedy may look at: the run's curves and config, and what its learning rate did."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from advtrain.config.schema import Config
from advtrain.diagnosis.level import split_of
from advtrain.diagnosis.segments import Phases
from advtrain.diagnosis.table import Axis, Table
from advtrain.diagnosis.trend import filled, means


@dataclass(frozen=True)
class Case:
    """What a remedy may look at."""

    axes: dict[str, Axis]
    phase: Phases
    table: Table

    @property
    def config(self) -> Config | None:
        """That of one's own run."""
        return self.table.config

    @property
    def done(self) -> int:
        """Epochs that the run has."""
        return self.counted(int(self.table.epoch[-1]))

    @property
    def epochs(self) -> int:
        """Epochs that the run was to have; of someone else's, those that it has."""
        return self.config.training.epochs if self.config else self.done

    def counted(self, epoch: int) -> int:
        """Epochs done by the end of this one: some CSVs count from 0."""
        return epoch + max(0, 1 - int(self.table.epoch[0]))

    @property
    def lr(self) -> float | None:
        """The peak learning rate."""
        if self.config:
            return self.config.optimizer.lr
        return self.highest_lr

    @property
    def usual_lr(self) -> float | None:
        """The default of this optimizer."""
        return float(type(self.config.optimizer)().lr) if self.config else None

    @property
    def highest_lr(self) -> float | None:
        """The highest in the curves, those of the runs that this one goes on from among them."""
        known = self._known_lr
        return float(known.max()) if len(known) else None

    @property
    def last_lr(self) -> float | None:
        """That of the last epoch with a known one."""
        known = self._known_lr
        return float(known[-1]) if len(known) else None

    @property
    def _known_lr(self) -> np.ndarray:
        lr = self.table.get("lr")
        return lr[np.isfinite(lr) & (lr > 0)]

    @property
    def eps_warmup(self) -> float:
        """Epochs over which eps is configured to rise."""
        return self.config.schedule.eps_warmup if self.config else 0.0

    @property
    def warmup(self) -> float:
        """Epochs over which lr is configured to rise."""
        return self.config.schedule.warmup if self.config else 0.0

    @property
    def warm(self) -> int:
        """Epochs after which lr and eps have reached their full size."""
        settled = self.config.eps_settled if self.config else 0.0
        return math.ceil(max(self.warmup, settled))

    @property
    def at_chance_throughout(self) -> bool:
        """Whether held-out accuracy was measured, and never above chance."""
        labels, table = self.table.labels, self.table
        known = means(filled(table.get(f"{split_of(table)}_{table.kind}_acc")))
        if labels is None or not np.isfinite(known).any():
            return False
        return not (known > labels.chance).any()

    @property
    def attacked(self) -> bool:
        """Whether the training has an adversary that may do something."""
        idle = self.config is not None and self.config.attack.eps == 0
        return not idle and not self.table.clean_training
