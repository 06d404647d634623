"""The ball that an attack stays in, and so many steps of an attack within it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from advtrain.learning.streams import Draws, Source, normal_like

Norm = Literal["linf", "l2"]


@dataclass(frozen=True)
class Ball:
    """The perturbations whose `norm` is at most `eps`, in the units of inputs in [0, 1]."""

    norm: Norm
    eps: float

    def project(self, delta: Tensor) -> Tensor:
        """For each perturbation (n, ...) the nearest point of the ball."""
        if self.norm == "linf":
            return delta.clamp(-self.eps, self.eps)
        length = column(delta.flatten(1).norm(dim=1), delta)
        return delta * (self.eps / length.clamp_min(1e-12)).clamp_max(1)

    def uniform(self, like: Tensor, source: Source | None = None) -> Tensor:
        """A perturbation for each example of `like` (n, ...), drawn uniformly from the ball."""
        if isinstance(source, Draws):
            return self.uniform(source.whole_like(like), source.generator)[source.share]
        if self.norm == "linf":
            return torch.empty_like(like).uniform_(-self.eps, self.eps, generator=source)
        direction = normal_like(like, source)
        radius = torch.empty(len(like), device=like.device, dtype=like.dtype)
        # In d dimensions the share of the ball within radius r is r^d.
        radius = self.eps * radius.uniform_(generator=source) ** (1 / max(1, like[0].numel()))
        return steepest(direction, "l2") * column(radius, like)

    def start(self, x: Tensor, source: Source | None = None) -> Tensor:
        """x plus a point drawn uniformly from the ball, clamped to [0, 1]."""
        return torch.clamp(x + self.uniform(x, source), 0, 1)


@dataclass(frozen=True)
class Ascent:
    """`steps` steps of size `alpha` up the loss, each projected to the ball around the input."""

    ball: Ball
    alpha: float
    steps: int


def steepest(grad: Tensor, norm: Norm) -> Tensor:
    """For each gradient (n, ...) the direction of steepest ascent of unit norm; zero for zero."""
    if norm == "linf":
        return grad.sign()
    # The first division keeps the squares of tiny gradients from vanishing.
    grad = grad / column(grad.abs().flatten(1).amax(1), grad).clamp_min(1e-38)
    return grad / column(grad.flatten(1).norm(dim=1), grad).clamp_min(1e-12)


def column(values: Tensor, like: Tensor) -> Tensor:
    """(n,) values as (n, 1, 1, ...), to multiply with `like`."""
    return values.view(-1, *[1] * (like.dim() - 1))
