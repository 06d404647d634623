"""Pre-activation residual networks for images of about 32x32 pixels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from advtrain.learning.models.stem import Stem


class PreActBlock(nn.Module):
    """BN, ReLU, conv, BN, ReLU, (dropout,) conv, plus the shortcut (He et al. 2016, fig. 4e)."""

    def __init__(self, inside: int, outside: int, stride: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.dropout = dropout
        self.shortcut = (
            nn.Conv2d(inside, outside, 1, stride, bias=False)
            if stride != 1 or inside != outside
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, inside, h, w) to (n, outside, h / stride, w / stride)."""
        active = F.relu(self.norm1(x))
        shortcut = x if self.shortcut is None else self.shortcut(active)
        inner = F.relu(self.norm2(self.conv1(active)))
        inner = F.dropout(inner, self.dropout, self.training)
        out: Tensor = self.conv2(inner) + shortcut
        return out


def _residual(
    channels: int, widths: list[int], blocks: int, num_classes: int, dropout: float
) -> nn.Module:
    """A 3x3 stem of widths[0] channels, then one stage of `blocks` for each further width."""
    layers: list[nn.Module] = [Stem(channels, widths[0], 3, bias=False)]
    inside = widths[0]
    for stage, width in enumerate(widths[1:]):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            layers.append(PreActBlock(inside, width, stride, dropout))
            inside = width
    return nn.Sequential(
        *layers,
        nn.BatchNorm2d(inside),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(inside, num_classes),
    )


def preact_resnet18(in_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """PreActResNet-18: four stages of two blocks, 64 to 512 channels (Rice et al. 2020)."""
    return _residual(in_shape[0], [64, 64, 128, 256, 512], 2, num_classes, 0.0)


def wide_resnet(
    in_shape: tuple[int, int, int], num_classes: int, depth: int, width: int, dropout: float
) -> nn.Module:
    """WRN-depth-width (Zagoruyko & Komodakis 2016): three stages of (depth - 4) / 6 blocks."""
    widths = [16, 16 * width, 32 * width, 64 * width]
    network = _residual(in_shape[0], widths, (depth - 4) // 6, num_classes, dropout)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
