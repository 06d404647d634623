"""What is seldom meant about a user's own images: refused where it must be a mistake, else said."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from advtrain.errors import SettingError
from advtrain.learning.data.images import Images, Resident, Source, in_turn

_LOOKED_AT = 500  # images of each split, evenly spread
_TWICE = 1.001 / 255  # the brightest pixel of images that were divided by 255 twice
_DARK = 0.5  # images whose brightest pixel is below this use half of the range, or less
_NAMED = 8  # classes that a warning names


def doubts(key: str, source: Source, train: list[Images], test: Images) -> list[str]:
    """Sentences about what is allowed and seldom meant; mostly none.

    `train` are the images that a run trains on and those that it validates on, `key` is what an
    error is about. Raises SettingError for images that were scaled twice.
    """
    found = []
    if len(source.test) > len(source.train):
        found.append(
            f"the test set ({len(source.test)} images) is larger than the training set "
            f"({len(source.train)}): are they swapped?"
        )
    untested = sorted({*source.train.classes_of.tolist()} - {*source.test.classes_of.tolist()})
    if untested:
        names = [source.classes[label] for label in untested[:_NAMED]]
        more = ", ..." if len(untested) > _NAMED else ""
        found.append(f"no test image is of class {', '.join(names)}{more}")
    x = _sample(train[0])
    found += [*_of_pixels(key, x, "training"), *_of_pixels(key, _sample(test), "test")]
    if x.shape[1] == 3 and bool((x == x[:, :1]).all()):
        found.append("the images are grey in three equal channels, all of which are attacked")
    if count := _shared(train, test):
        found.append(f"{count} of {len(test)} test images are training images, too")
    return [f"{key}: {text}" for text in found]


def _sample(images: Images) -> Tensor:
    """Some images (n, c, h, w) in [0, 1], on the CPU."""
    chosen = torch.arange(0, len(images), -(-len(images) // _LOOKED_AT))
    batches = images.batches([chosen[part] for part in in_turn(len(chosen), 100)])
    return torch.cat([batch.x.cpu() for batch in batches])


def _of_pixels(key: str, x: Tensor, split: str) -> list[str]:
    """What the range of some images' pixels tells."""
    low, high = float(x.min()), float(x.max())
    if low == high:
        return [f"every pixel of the {split} images is {low:.3g}"]
    if high <= _TWICE:
        raise SettingError(
            key,
            f"no pixel of the {split} images is above {high:.4g}: they were divided by 255 twice, "
            "or are uint8 from 0 to 1; expected floats in [0, 1], or uint8 from 0 to 255",
        )
    if high < _DARK:
        return [
            f"no pixel of the {split} images is above {high:.3g}; expected the whole of [0, 1], "
            "in which eps is measured"
        ]
    return []


def _shared(train: list[Images], test: Images) -> int:
    """How many test images have the pixels of a training image, where all are in memory."""
    if not all(isinstance(images, Resident) for images in (*train, test)):
        return 0
    known = {digest for images in train for digest in _digests(images)}
    return sum(digest in known for digest in _digests(test))


def _digests(images: Images) -> list[bytes]:
    """A hash of each image's pixels."""
    assert isinstance(images, Resident)
    rows: np.ndarray = images.images.flatten(1).cpu().contiguous().numpy()
    return [hashlib.blake2b(row.data, digest_size=16).digest() for row in rows]
