"""Free adversarial training (Shafahi et al. 2019, "Adversarial Training for Free!")."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from advtrain.config.objectives import resolve_alpha
from advtrain.learning.attacks.ball import steepest
from advtrain.learning.objectives.batch import Batch


def replayed(model: nn.Module, batch: Batch) -> Iterator[Tensor]:
    """The batch `replays` times, its perturbation ascending the gradient of each descent (alg. 1).

    Each yielded tensor is a leaf: whoever takes it descends the loss at it, whose backward pass
    leaves the input gradient there. The perturbation goes on to the next batch of the epoch; here
    it begins at zero in each epoch, so that no last.pt has to keep one.
    """
    x, keys, carry = batch.x, batch.keys, batch.carry
    assert carry is not None
    known = carry.delta
    if known is None or len(known) < len(x):  # a last batch may be larger by one
        blank = torch.zeros_like(x)
        known = blank if known is None else torch.cat([known, blank[len(known) :]])
    delta, rest = known[: len(x)], known[len(x) :]
    alpha = batch.step(resolve_alpha(keys.alpha, batch.attack.eps, 1))
    for _ in range(keys.replays):
        x_adv = (x + delta).clamp(0, 1).requires_grad_()
        yield x_adv
        assert x_adv.grad is not None
        ascended = delta + alpha * steepest(x_adv.grad, batch.attack.norm)
        delta = batch.ball.project(ascended)
    carry.delta = torch.cat([delta, rest])
