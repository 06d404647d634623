"""Small convolutional networks, for images from 8x8 pixels."""

from __future__ import annotations

from torch import nn

from advtrain.learning.models.stem import Stem


def small_cnn(in_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """The network of every digits figure: 16 and 32 channels of 3x3, 64 hidden units."""
    channels, height, width = in_shape
    return nn.Sequential(
        Stem(channels, 16, 3),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * (height // 4) * (width // 4), 64),
        nn.ReLU(),
        nn.Linear(64, num_classes),
    )


def madry_cnn(in_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Madry et al. 2018, section 4: MNIST network; 32 and 64 channels of 5x5, 1024 hidden units.

    ReLU after max-pool instead of before it: the same function, on a quarter of the values.
    """
    channels, height, width = in_shape
    return nn.Sequential(
        Stem(channels, 32, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(64 * (height // 4) * (width // 4), 1024),
        nn.ReLU(),
        nn.Linear(1024, num_classes),
    )
