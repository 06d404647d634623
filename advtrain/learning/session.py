"""What the parts of a training share: data, network, optimizer, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from advtrain.config.schema import Config
from advtrain.learning.data.splits import Data
from advtrain.learning.distributed.group import ALONE, Group
from advtrain.learning.precision import fast
from advtrain.records import Position, Progress


@dataclass
class Session:
    """The training of one config, as one process sees it.

    `model` has the weights that are trained, saved and measured. `average` is kept up with them.
    `position` says from where within the first epoch training goes on, and is None after that.
    """

    config: Config
    data: Data
    model: nn.Module
    optimizer: torch.optim.Optimizer
    progress: Progress = field(default_factory=Progress)
    average: AveragedModel | None = None
    position: Position | None = None
    group: Group = ALONE

    @property
    def done(self) -> bool:
        """Whether the last epoch is trained, or the run has ended early."""
        return self.progress.epoch >= self.config.training.epochs or bool(self.progress.stopped)

    @cached_property
    def fast_model(self) -> nn.Module:
        """The model in the precision of training, compiled if asked for: for passes of attacks."""
        return fast(self.model, self.config.training)

    @cached_property
    def synced_model(self) -> nn.Module:
        """The same for passes that are descended: gradients are averaged over the processes."""
        return self.group.wrap(self.fast_model)
