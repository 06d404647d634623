"""Normalisation and network as one module whose inputs are in [0, 1]."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Normalize(nn.Module):
    """(x - mean) / std for each channel; the identity until `fit`."""

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("std", torch.ones(channels, 1, 1))

    def fit(self, mean: Tensor, std: Tensor) -> None:
        """Take over the statistics, each of shape (channels,)."""
        self.mean.copy_(mean[:, None, None])
        self.std.copy_(std[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) in [0, 1] to the same shape, normalised."""
        return (x - self.mean) / self.std


class Classifier(nn.Module):
    """Normalisation, then the network: (n, c, h, w) in [0, 1] to (n, classes) logits."""

    def __init__(self, network: nn.Module, channels: int) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Logits, before any softmax."""
        logits: Tensor = self.network(self.normalize(x))
        return logits
