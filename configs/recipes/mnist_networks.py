"""The networks of two MNIST recipes, which advtrain itself does not have."""

from torch import nn


def wong(in_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Wong et al. 2020: 16 and 32 channels of 4x4 at stride 2, 100 hidden units."""
    channels, height, width = in_shape
    return nn.Sequential(
        nn.Conv2d(channels, 16, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * (height // 4) * (width // 4), 100),
        nn.ReLU(),
        nn.Linear(100, num_classes),
    )


def trades(in_shape: tuple[int, int, int], num_classes: int) -> nn.Module:
    """Zhang et al. 2019: 3x3 convolutions without padding, two hidden layers of 200 units.

    As in the authors' code, convolutions begin as He et al. 2015 say, and the last layer at zero.
    """
    channels, height, width = in_shape
    height, width = ((side - 4) // 2 - 4 for side in (height, width))
    last = nn.Linear(200, num_classes)
    network = nn.Sequential(
        nn.Conv2d(channels, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3),
        nn.ReLU(),
        nn.Conv2d(64, 64, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(64 * (height // 2) * (width // 2), 200),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(200, 200),
        nn.ReLU(),
        last,
    )
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return network
