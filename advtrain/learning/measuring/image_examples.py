"""A few fixed test images and what the evaluation's attack makes of them, to look at."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np
import torch
from torch import Tensor, nn

from advtrain.config.schema import Config
from advtrain.learning.attacks.evaluating import EvaluatingAttack, strongest
from advtrain.learning.attacks.pgd import mode
from advtrain.learning.data.images import Images, Labelled

_MOST = 8
_VALUES = 380_000  # of the images and their perturbations at three stages, a byte each
_COPIES = 4


@dataclass(frozen=True)
class Fixed:
    """The images, where they stand in the split, and one in how many rows and columns is kept."""

    batch: Labelled
    index: np.ndarray
    every: int

    @property
    def kept(self) -> np.ndarray:
        """The images as they are shown, (n, c, h, w) in [0, 1]."""
        return self.thin(self.batch.x)

    def thin(self, images: Tensor) -> np.ndarray:
        """Every n-th row and column, as an array of its own."""
        return np.ascontiguousarray(images[:, :, :: self.every, :: self.every].cpu().numpy())


@dataclass(frozen=True)
class Attacked:
    """What the model says of the images before and after the attack; confidences in [0, 1]."""

    delta: np.ndarray  # (n, c, h, w), thinned as the images are
    clean_label: np.ndarray  # (n,) class indices
    clean_confidence: np.ndarray  # (n,) probability of that class
    robust_label: np.ndarray
    robust_confidence: np.ndarray


def fixed_images(images: Images, shape: tuple[int, int, int]) -> Fixed:
    """Up to 8 images of `shape` (c, h, w), the same for every seed; fewer where they are large.

    A single image that would not fit is thinned to every second row and column, third, and so on:
    unlike a mean over pixels this keeps the perturbation's size.
    """
    channels, height, width = shape
    every, values = 1, channels * height * width
    while _COPIES * values > _VALUES and every < max(height, width):
        every += 1
        values = channels * -(-height // every) * -(-width // every)
    index = _one_a_class(images.classes_of, min(_MOST, max(1, _VALUES // (_COPIES * values))))
    (batch,) = images.batches([torch.from_numpy(index)])
    return Fixed(batch, index, every)


def _one_a_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Positions of `count` examples, or all: a class each, then again; never by a run's seed.

    Of more classes than that, some that are spread evenly.
    """
    # RandomState's stream is frozen by NumPy; newer generators may change theirs.
    random = np.random.RandomState(zlib.crc32(b"examples"))
    classes = np.unique(labels)
    if len(classes) > count:
        classes = classes[np.linspace(0, len(classes) - 1, count).astype(int)]
    of_each = [random.permutation(np.flatnonzero(labels == c))[:count] for c in classes]
    in_turn = [i for i in chain.from_iterable(zip_longest(*of_each)) if i is not None]
    return np.array(in_turn[:count], dtype=np.int64)


def attacked(model: nn.Module, fixed: Fixed, config: Config) -> Attacked | None:
    """The images under the evaluation's attack; None where a figure is not finite."""
    x, y, ids = fixed.batch
    with mode(model, "eval"):
        ends = EvaluatingAttack.of(config).ends(model, x, y, ids)
        x_adv, *_ = strongest(model, ends, y)
        clean, robust = _predicted(model, x), _predicted(model, x_adv)
    found = Attacked(fixed.thin(x_adv - x), *clean, *robust)
    figures = (found.delta, found.clean_confidence, found.robust_confidence)
    return found if all(np.isfinite(each).all() for each in figures) else None


@torch.no_grad()
def _predicted(model: nn.Module, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The class of the highest probability, and that probability."""
    confidence, label = model(x).float().softmax(1).max(1)
    return label.cpu().numpy(), confidence.cpu().numpy()
