"""Slow and plain: attack and training step, which the fast ones must match."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def attack(
    model: nn.Module, x: Tensor, y: Tensor, start: Tensor, eps: float, alpha: float, steps: int
) -> Tensor:
    """PGD in the linf ball, as in the paper: step, project, clip."""
    model.eval()
    x_adv = start
    for _ in range(steps):
        x_adv = x_adv.clone().detach().requires_grad_(True)
        F.cross_entropy(model(x_adv), y).backward()
        assert x_adv.grad is not None
        moved = x_adv.detach() + alpha * torch.sign(x_adv.grad)
        x_adv = torch.min(torch.max(moved, x - eps), x + eps).clamp(0, 1)
    return x_adv


def sgd_step(
    model: nn.Module, x: Tensor, y: Tensor, lr: float, weight_decay: float
) -> tuple[Tensor, Tensor]:
    """The first step of gradient descent (its momentum is still 0); loss and gradient's norm."""
    model.train()
    model.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    squares = torch.zeros(())
    with torch.no_grad():
        for p in model.parameters():
            assert p.grad is not None
            squares += (p.grad**2).sum()
            p -= lr * (p.grad + weight_decay * p)
    return loss.detach(), squares.sqrt()
