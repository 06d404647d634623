"""A part of Fashion-MNIST: small enough for a study on a CPU, large enough for its phenomenon."""

from pathlib import Path

from torch import Tensor

from advtrain.learning.data.downloaded import downloaded


def load(train: bool, root: str, count: int, test_count: int = 400) -> tuple[Tensor, Tensor]:
    """The first `count` training or `test_count` test images, uint8, and their labels."""
    images, labels = downloaded("fashion_mnist", Path(root))[0 if train else 1]
    size = count if train else test_count
    return images[:size], labels[:size]
