"""Where images come from: scikit-learn, torchvision, folders, or the user's own function."""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advtrain.config.names import DATASETS
from advtrain.config.schema import Dataset
from advtrain.errors import SettingError
from advtrain.learning.data.downloaded import downloaded
from advtrain.learning.data.folder import image_folder
from advtrain.learning.data.images import Images, Resident
from advtrain.learning.data.stratify import stratified
from advtrain.learning.importing import import_attribute


@dataclass(frozen=True)
class Source:
    """A dataset as it was loaded, before any part of it is taken."""

    train: Images
    test: Images
    shape: tuple[int, int, int]
    num_classes: int
    checksum: str


def load_source(dataset: Dataset) -> Source:
    """The images that a config's dataset section names; SettingError if they cannot be had."""
    if dataset.name == "image_folder":
        try:
            train, test, classes, checksum = image_folder(Path(dataset.root), dataset.image_size)
        except OSError as error:
            raise SettingError(
                "dataset.root", f"{error.filename or dataset.root}: {error.strerror}"
            ) from None
        return Source(train, test, train.decoder.shape, classes, checksum)
    if dataset.name == "digits":
        arrays = _digits()
    elif dataset.name.startswith("import:"):
        arrays = _imported(dataset)
    else:
        arrays = downloaded(dataset.name, Path(dataset.root))
    digest = hashlib.sha256()
    for images, labels in arrays:
        digest.update(images.contiguous().numpy().data)
        digest.update(labels.numpy().data)
    (train_images, train_labels), (test_images, test_labels) = arrays
    channels, height, width = train_images.shape[1:]
    known = DATASETS.get(dataset.name)
    classes = known.classes if known else int(max(train_labels.max(), test_labels.max())) + 1
    return Source(
        _resident(train_images, train_labels),
        _resident(test_images, test_labels),
        (channels, height, width),
        classes,
        digest.hexdigest(),
    )


Arrays = tuple[Tensor, Tensor]  # images (n, c, h, w) and labels (n,)


def _resident(images: Tensor, labels: Tensor) -> Resident:
    return Resident(images, labels, torch.arange(len(labels)))


def _digits() -> tuple[Arrays, Arrays]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images / 16).float()[:, None]  # 17 grey levels
    labels = torch.from_numpy(bunch.target).long()
    test = stratified(bunch.target, DATASETS["digits"].test, "digits test")
    train = np.setdiff1d(np.arange(len(labels)), test)
    return (images[train], labels[train]), (images[test], labels[test])


def _imported(dataset: Dataset) -> tuple[Arrays, Arrays]:
    """Call the user's function(train=True | False, **args), with root where it accepts it."""
    try:
        function = import_attribute(dataset.name, "dataset.name")
        accepted = inspect.signature(function).parameters
        args = ({"root": dataset.root} if "root" in accepted else {}) | dataset.args
        results = [function(train=train, **args) for train in (True, False)]
    except SettingError:
        raise
    except (Exception, SystemExit) as error:  # the function is the user's: anything may happen
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise SettingError("dataset.name", f"{dataset.name}: {reason}") from error
    train, test = (_checked(dataset.name, result) for result in results)
    if train[0].shape[1:] != test[0].shape[1:]:
        shapes = " and ".join(str(tuple(images.shape[1:])) for images, _ in (train, test))
        raise SettingError(
            "dataset.name", f"{dataset.name}: train and test images differ in shape: {shapes}"
        )
    return train, test


def _checked(name: str, result: Any) -> Arrays:
    """What the user's function returned, as tensors; SettingError if it cannot be trained on."""

    def bad(text: str) -> SettingError:
        return SettingError("dataset.name", f"{name}: {text}")

    try:
        images, labels = (torch.as_tensor(part).detach().cpu().contiguous() for part in result)
    except (TypeError, ValueError, RuntimeError):
        raise bad("expected it to return (images, labels), two arrays") from None
    if images.dim() == 3:
        images = images[:, None]
    floats = images.is_floating_point()
    if images.dim() != 4 or labels.shape != images.shape[:1] or not images.numel():
        raise bad(
            "expected images (n, h, w) or (n, c, h, w) and n labels, got "
            f"{tuple(images.shape)} and {tuple(labels.shape)}"
        )
    if not (floats or images.dtype == torch.uint8) or labels.is_floating_point():
        raise bad(
            "expected uint8 images, or floats in [0, 1], and whole labels, got "
            f"{images.dtype} and {labels.dtype}"
        )
    if floats and not bool(((images >= 0) & (images <= 1)).all()):
        raise bad("float images must lie in [0, 1]")
    if bool((labels < 0).any()):
        raise bad("labels must count from 0")
    return images.float() if floats else images, labels.long()
