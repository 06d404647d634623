"""First-order stationary condition of an attack: how much it left undone.

Wang et al. 2019, "On the Convergence and Robustness of Adversarial Training", eq. 5: the most that
the linearised loss could still rise within the threat model, `c = max <x' - x, grad>` over x'.
It is >= 0, and 0 at a first-order maximum, but also where gradients vanish.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advtrain.learning.attacks.ball import Ball


def fosc(x_adv: Tensor, x: Tensor, grad: Tensor, ball: Ball) -> Tensor:
    """The condition of each example, (n,), in nats.

    x_adv, x: (n, ...) in [0, 1], the attacked and the clean inputs; grad: each example's own
    gradient of its loss at x_adv. For linf the box [0, 1] is taken into account exactly; for l2
    it is not, so the value is an upper bound where the box is active.
    """
    eps = ball.eps
    if ball.norm == "l2":
        flat = grad.flatten(1)
        left: Tensor = eps * flat.norm(dim=1) - ((x_adv - x).flatten(1) * flat).sum(1)
        return left.clamp_min(0)  # but for rounding it is
    low, high = (x - eps).clamp_min(0), (x + eps).clamp_max(1)
    left = torch.maximum(grad * (high - x_adv), grad * (low - x_adv)).flatten(1).sum(1)
    return left.clamp_min(0)


def gradients(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Each example's input gradient of its own cross-entropy, and the logits; in eval mode.

    In that mode no example's logits depend on another's, so one backward pass gives all.
    """
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        logits = model(x)
        loss = F.cross_entropy(logits, y, reduction="sum")
        (grad,) = torch.autograd.grad(loss, x)
    return grad, logits.detach()


def reach(grad: Tensor, ball: Ball) -> Tensor:
    """The most by which the linearised loss changes within the ball, (n,), in nats."""
    flat = grad.flatten(1)
    return ball.eps * (flat.abs().sum(1) if ball.norm == "linf" else flat.norm(dim=1))
