"""What is trained: networks, images and attacks, the same for every contestant."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from advtrain.learning.models import build_model
from advtrain.learning.streams import seed_of
from bench.plain import plain

ROOTS = "ADVTRAIN_BENCH_DATA"  # the environment variable with the folder of downloaded datasets
TEST = 1000  # images, of each set that an epoch is measured on


@dataclass(frozen=True)
class Workload:
    """One network on one dataset under one attack. A round is `epochs` over `batches`."""

    name: str
    model: str
    dataset: str
    shape: tuple[int, int, int]
    eps: float
    steps: int
    threads: int
    epochs: int
    batches: int
    evaluated: int = 1000  # images, for the cost of an evaluation
    batch: int = 128
    lr: float = 0.01

    @property
    def alpha(self) -> float:
        """Step size of the attack, advtrain's default."""
        return 2.5 * self.eps / self.steps

    @property
    def count(self) -> int:
        """Training images of an epoch."""
        return self.batches * self.batch


# A small network computes on one thread, as advtrain would choose for itself.
WORKLOADS = {
    w.name: w
    for w in (
        Workload("digits", "small_cnn", "digits", (1, 8, 8), 0.1, 10, 1, 3, 10),
        Workload("fashion7", "madry_cnn", "fashion_mnist", (1, 28, 28), 0.1, 7, 2, 1, 3),
        Workload("fashion40", "madry_cnn", "fashion_mnist", (1, 28, 28), 0.1, 40, 2, 1, 1, 256),
        Workload("cifar", "preact_resnet18", "cifar10", (3, 32, 32), 8 / 255, 10, 2, 1, 1, 32),
    )
}


def images(dataset: str, count: int, train: bool = True) -> tuple[Tensor, Tensor, str]:
    """uint8 images (count, c, h, w), labels (count,), and where they come from.

    Downloaded datasets are read below $ADVTRAIN_BENCH_DATA. Without them noise of the same shape
    stands in: what is computed does not depend on what the images show.
    """
    if dataset == "digits":
        from sklearn.datasets import load_digits

        bunch = load_digits()
        pixels = torch.from_numpy(np.round(bunch.images / 16 * 255)).to(torch.uint8)[:, None]
        source, labels = "scikit-learn's digits", torch.from_numpy(bunch.target).long()
    elif root := os.environ.get(ROOTS):
        from advtrain.learning.data.downloaded import downloaded

        pixels, labels = downloaded(dataset, Path(root))[0 if train else 1]
        source = dataset
    else:
        shape = next(w.shape for w in WORKLOADS.values() if w.dataset == dataset)
        generator = torch.Generator().manual_seed(seed_of(dataset, str(train)))
        pixels = torch.randint(256, (count, *shape), dtype=torch.uint8, generator=generator)
        labels = torch.randint(10, (count,), generator=generator)
        source = f"noise in the shape of {dataset}"
    chosen = torch.arange(count) % len(labels)
    return pixels[chosen], labels[chosen], source


def arrays(train: bool, dataset: str, count: int, test: int) -> tuple[Any, Any]:
    """The images as an `import:` dataset of advtrain."""
    return images(dataset, count if train else test, train)[:2]


def floats(workload: Workload) -> tuple[Tensor, Tensor]:
    """The training images of a round's epoch as floats in [0, 1], and their labels."""
    pixels, labels, _ = images(workload.dataset, workload.count)
    return pixels.float() / 255, labels


def textbook_model(workload: Workload) -> nn.Module:
    """The network that peers and floor train, with the weights that advtrain begins with."""
    torch.manual_seed(seed_of(0, "init"))
    model = build_model(workload.model, in_shape=workload.shape, num_classes=10)
    x, _ = floats(workload)
    model.normalize.fit(x.mean((0, 2, 3)), x.std((0, 2, 3)))
    return plain(workload.model, model).train()


def textbook_optimizer(workload: Workload, model: nn.Module) -> torch.optim.Optimizer:
    """SGD as anyone would write it."""
    return torch.optim.SGD(model.parameters(), lr=workload.lr, momentum=0.9, weight_decay=5e-4)
