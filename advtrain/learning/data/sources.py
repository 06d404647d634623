"""Where images come from: scikit-learn, torchvision, folders, or the user's own function."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor

from advtrain.config.names import DATASETS
from advtrain.config.schema import Dataset
from advtrain.errors import SettingError
from advtrain.learning.data.downloaded import downloaded
from advtrain.learning.data.folder import image_folder
from advtrain.learning.data.images import Resident, Source
from advtrain.learning.data.imported import Arrays, imported
from advtrain.learning.data.stratify import stratified


def load_source(dataset: Dataset) -> Source:
    """The images that a config's dataset section names; SettingError if they cannot be had."""
    if dataset.name == "image_folder":
        try:
            return image_folder(dataset.folder, dataset.image_size)
        except OSError as error:
            raise SettingError(
                "dataset.root", f"{error.filename or dataset.root}: {error.strerror}"
            ) from None
    if dataset.name == "digits":
        train, test = _digits()
    elif dataset.name.startswith("import:"):
        train, test = imported(dataset)
    else:
        train, test = downloaded(dataset.name, dataset.folder)
    digest = hashlib.sha256()
    for images, labels in (train, test):
        digest.update(images.contiguous().numpy().data)
        digest.update(labels.numpy().data)
    channels, height, width = train[0].shape[1:]
    known = DATASETS.get(dataset.name)
    classes = known.class_names if known else tuple(map(str, range(int(train[1].max()) + 1)))
    return Source(
        _resident(*train), _resident(*test), (channels, height, width), classes, digest.hexdigest()
    )


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
