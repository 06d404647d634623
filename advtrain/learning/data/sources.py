"""Where images come from: scikit-learn, torchvision, folders, or the user's own function."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from advtrain.config.names import DATASETS
from advtrain.config.schema import Dataset
from advtrain.errors import AdvtrainError
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
    """The images that a config's dataset section names; AdvtrainError if they cannot be had."""
    if dataset.name == "image_folder":
        train, test, classes, checksum = image_folder(Path(dataset.root), dataset.image_size)
        return Source(train, test, train.decoder.shape, classes, checksum)
    if dataset.name == "digits":
        arrays = _digits()
    elif dataset.name.startswith("import:"):
        arrays = _imported(dataset)
    else:
        arrays = _torchvision(dataset.name, Path(dataset.root))
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


def _torchvision(name: str, root: Path) -> tuple[Arrays, Arrays]:
    import torchvision

    info = DATASETS[name]
    dataset: Callable[..., Any] = getattr(torchvision.datasets, info.torchvision)

    def part(train: bool, download: bool) -> Any:
        if name == "svhn":
            return dataset(root, split="train" if train else "test", download=download)
        return dataset(root, train=train, download=download)

    try:
        try:
            parts = [part(True, False), part(False, False)]
        except RuntimeError:  # torchvision: not found or corrupted
            root.mkdir(parents=True, exist_ok=True)
            with (
                FileLock(root / f".{name}.lock"),
                contextlib.redirect_stdout(sys.stderr),  # stdout is for results
            ):
                parts = [part(True, True), part(False, True)]
    except Exception as error:  # network, disk, archive: torchvision passes on many kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise AdvtrainError(
            f"dataset {name}: not complete under {root}, and the download failed ({reason}); "
            f"put these files under {root}: {info.files}"
        ) from None
    return _arrays(parts[0]), _arrays(parts[1])


def _arrays(dataset: Any) -> Arrays:
    """The tensors inside a torchvision dataset, each class of which keeps them its own way."""
    images = torch.as_tensor(dataset.data)
    if images.dim() == 3:  # MNIST and its like: (n, h, w)
        images = images[:, None]
    elif images.shape[-1] == 3:  # CIFAR: (n, h, w, c)
        images = images.permute(0, 3, 1, 2)
    labels = dataset.targets if hasattr(dataset, "targets") else dataset.labels
    return images.contiguous(), torch.as_tensor(labels).long()


def _imported(dataset: Dataset) -> tuple[Arrays, Arrays]:
    """Call the user's function(train=True | False, **args), with root where it accepts it."""
    function = import_attribute(dataset.name)
    offered: dict[str, Any] = {"root": dataset.root}
    accepted = inspect.signature(function).parameters
    args = {k: v for k, v in offered.items() if k in accepted} | dataset.args
    return tuple(_check(dataset.name, function(train=t, **args)) for t in (True, False))  # type: ignore[return-value]


def _check(name: str, result: Any) -> Arrays:
    try:
        images, labels = (torch.as_tensor(part) for part in result)
    except (TypeError, ValueError):
        raise AdvtrainError(f"dataset {name}: expected to return (images, labels)") from None
    if images.dim() == 3:
        images = images[:, None]
    floats = images.is_floating_point()
    if images.dim() != 4 or len(images) != len(labels) or labels.dim() != 1 or not len(labels):
        raise AdvtrainError(
            f"dataset {name}: expected images (n, h, w) or (n, c, h, w) and n labels, got "
            f"{tuple(images.shape)} and {tuple(labels.shape)}"
        )
    if not (floats or images.dtype == torch.uint8) or labels.is_floating_point():
        raise AdvtrainError(
            f"dataset {name}: expected uint8 images, or floats in [0, 1], and whole labels, got "
            f"{images.dtype} and {labels.dtype}"
        )
    if floats and not bool(((images >= 0) & (images <= 1)).all()):
        raise AdvtrainError(f"dataset {name}: float images must lie in [0, 1]")
    if bool((labels < 0).any()):
        raise AdvtrainError(f"dataset {name}: labels must count from 0")
    return images.float() if floats else images, labels.long()
