"""Adversarial weight perturbation (Wu et al. 2020, "Adversarial Weight Perturbation Helps Robust
Generalization")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from advtrain.learning.distributed.group import ALONE, Group
from advtrain.learning.objectives.norms import unrecorded

_LEAST = 1e-20  # of a gradient's norm


@contextmanager
def perturbed(
    model: nn.Module, loss: Callable[[], Tensor], size: float, group: Group = ALONE
) -> Iterator[None]:
    """Weights moved by one step up the loss, `size` times each layer's norm; back afterwards.

    The step is `size ||w|| g / ||g||` for each weight tensor w of two dimensions or more (eq. 10,
    one step, as in the authors' code; biases and normalisation stay). Descend the loss inside, and
    step the optimizer outside: that is eq. 12. Of several processes' losses the mean is climbed.
    """
    weights = [p for p in model.parameters() if p.dim() > 1 and p.requires_grad]
    with unrecorded(model):
        gradients = torch.autograd.grad(loss(), weights, allow_unused=True)
    before = [w.detach().clone() for w in weights]
    with torch.no_grad():
        for w, g in zip(weights, gradients, strict=True):
            if g is not None:
                g = group.sum(g)  # only its direction matters
                w.add_(g * (size * w.norm() / (g.norm() + _LEAST)))
    try:
        yield
    finally:
        with torch.no_grad():
            for w, kept in zip(weights, before, strict=True):
                w.copy_(kept)
