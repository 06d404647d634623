"""A fully connected and a recurrent network."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn


def mlp(in_shape: tuple[int, int, int], num_classes: int, width: int, depth: int) -> nn.Module:
    """`depth` hidden layers of `width` units with ReLU."""
    layers: list[nn.Module] = [nn.Flatten()]
    size = prod(in_shape)
    for _ in range(depth):
        layers += [nn.Linear(size, width), nn.ReLU()]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, num_classes))


class Lstm(nn.Module):
    """Reads the image row by row (all channels of a row at once), classifies the last state."""

    def __init__(
        self, in_shape: tuple[int, int, int], num_classes: int, hidden: int, layers: int
    ) -> None:
        super().__init__()
        channels, _, width = in_shape
        self.lstm = nn.LSTM(channels * width, hidden, layers, batch_first=True)
        self.classify = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) to (n, classes) logits."""
        rows = x.permute(0, 2, 1, 3).flatten(2)
        states, _ = self.lstm(rows)
        logits: Tensor = self.classify(states[:, -1])
        return logits
