"""Gradient alignment (Andriushchenko & Flammarion 2020, "Understanding and Improving Fast
Adversarial Training")."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advtrain.learning.objectives.batch import Batch
from advtrain.learning.objectives.norms import unrecorded


def misalignment(model: nn.Module, batch: Batch) -> Tensor:
    """1 - mean cosine of the input gradients at x and at a uniform point of the ball (eq. 6).

    A scalar to descend, by double backpropagation; 0 where no pair of gradients has a direction.
    """
    points = (batch.x, batch.ball.start(batch.x, batch.generator))
    with unrecorded(model):
        here, there = (input_gradient(model, x, batch.y, descend=True) for x in points)
    cosine = alignment(here, there)
    if batch.group.size == 1:
        return 1 - cosine.mean() if len(cosine) else here.sum() * 0
    # The mean is over the pairs of the whole batch; a process with none of them must still take
    # its part in the backward pass of the others.
    pairs = float(batch.group.sum(torch.tensor(float(len(cosine)))))
    return 1 - cosine.sum() / (pairs * batch.part) if pairs else here.sum() * 0


def input_gradient(model: nn.Module, x: Tensor, y: Tensor, *, descend: bool = False) -> Tensor:
    """The gradient of the summed cross-entropy, (n, ...); `descend`: itself differentiable."""
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        loss = F.cross_entropy(model(x), y, reduction="sum")
        (grad,) = torch.autograd.grad(loss, x, create_graph=descend)
    return grad


def alignment(here: Tensor, there: Tensor) -> Tensor:
    """Cosines of the pairs of (n, ...) gradients that both have a direction, at most (n,).

    A gradient of zero has none: a pair with one counts neither as aligned nor as not.
    """
    a, b = here.flatten(1), there.flatten(1)
    sizes = [each.detach().abs().amax(1) for each in (a, b)]
    known = (sizes[0] > 0) & (sizes[1] > 0)
    # Scaled, lest the squares of tiny gradients vanish.
    a, b = (each[known] / size[known, None] for each, size in zip((a, b), sizes, strict=True))
    cosine: Tensor = (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
    return cosine
