"""Slow and plain: networks, attack and training step, which the fast ones must match."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advtrain.learning.models.classifier import Classifier
from advtrain.learning.models.stem import Stem


def plain(model: Classifier) -> Classifier:
    """The same network of torch's own layers, NCHW, ReLU before max-pool; changes `model`."""
    model.to(memory_format=torch.contiguous_format)
    layers = model.network
    if not isinstance(layers, nn.Sequential):
        return model
    for i, layer in enumerate(layers):
        if isinstance(layer, Stem):
            inside, outside, (size, _) = layer.in_channels, layer.out_channels, layer.kernel_size
            own = nn.Conv2d(inside, outside, size, padding=size // 2, bias=layer.bias is not None)
            own.load_state_dict(layer.state_dict())
            layers[i] = own
    for i, (first, second) in enumerate(pairwise(layers)):
        if isinstance(first, nn.MaxPool2d) and isinstance(second, nn.ReLU):
            layers[i], layers[i + 1] = second, first
    return model


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
