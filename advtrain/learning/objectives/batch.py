"""What an objective is given, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import Tensor

from advtrain.config.schema import Attack
from advtrain.learning.attacks.ball import Ball
from advtrain.learning.distributed.group import ALONE, Group
from advtrain.learning.streams import Source


class LossAndLogits(NamedTuple):
    """The scalar to descend, and the logits on the adversarial examples where there are any."""

    loss: Tensor
    robust_logits: Tensor | None


@dataclass
class Carry:
    """What `free` hands on from batch to batch; made anew each epoch."""

    delta: Tensor | None = None


@dataclass(frozen=True)
class Batch:
    """Images, labels, and all that finding adversarial examples of them needs.

    Of several processes each has its share of the images.
    """

    x: Tensor  # (n, ...) in [0, 1]
    y: Tensor  # (n,) class indices
    keys: Any  # the config's objective
    attack: Attack
    generator: Source  # on x's device
    strength: float = 1.0  # factor of eps, which step sizes follow
    stride: float = 1.0  # factor of the step size, beside it
    carry: Carry | None = None
    group: Group = ALONE
    whole: int | None = None  # images of all processes together; None: those here

    @property
    def part(self) -> float:
        """The fraction of the whole batch that is here."""
        return 1.0 if self.whole is None else len(self.x) / self.whole

    @property
    def weight(self) -> float:
        """Factor of a mean over these images with which the processes' mean is the batch's."""
        return self.group.size * self.part

    @property
    def ball(self) -> Ball:
        """Where the attack may go at this step of the training."""
        return Ball(self.attack.norm, self.attack.eps * self.strength)

    def step(self, size: float) -> float:
        """A configured step size as it is at this step of the training."""
        return size * self.strength * self.stride
