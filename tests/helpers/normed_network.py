"""A network with batch norm and dropout, as the text of a module for `import:normed:Net`."""

from __future__ import annotations

NET = '''\
"""A network with everything that makes resuming hard: running statistics and random masks."""

from torch import nn


class Net(nn.Sequential):
    def __init__(self, in_shape, num_classes, width=32):
        super().__init__(
            nn.Conv2d(in_shape[0], width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.MaxPool2d(2), nn.Dropout2d(0.2), nn.Flatten(),
            nn.Linear(width * in_shape[1] * in_shape[2] // 4, 512), nn.BatchNorm1d(512),
            nn.ReLU(), nn.Dropout(0.3), nn.Linear(512, num_classes),
        )
'''
