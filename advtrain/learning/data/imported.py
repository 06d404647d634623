"""What a user's own function returned, made sure to be images and labels."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advtrain.config.schema import Dataset
from advtrain.errors import SettingError, described
from advtrain.learning.importing import blamed, import_attribute

Arrays = tuple[Tensor, Tensor]  # images (n, c, h, w) and labels (n,)

_CHANNELS = (1, 3, 4)  # of images that may have them last
_NAMED = 8  # labels that an error names


def imported(dataset: Dataset) -> tuple[Arrays, Arrays]:
    """Training and test arrays of the config's function.

    It is called as function(train=True | False, **args), with root where it accepts that. Raises
    SettingError about dataset.name for what cannot be trained on.
    """
    try:
        function = import_attribute(dataset.name, "dataset.name")
        accepted = inspect.signature(function).parameters
        root = {"root": str(dataset.folder)} if "root" in accepted else {}
        args = root | dataset.arguments
        results = [function(train=train, **args) for train in (True, False)]
    except SettingError:
        raise
    except (Exception, SystemExit) as error:  # the function is the user's: anything may happen
        key = blamed(error, "dataset", dataset.args)
        raise SettingError(key, f"{dataset.name}: {described(error)}") from error
    try:
        train, test = (_checked(*each) for each in zip(results, (True, False), strict=True))
        if train[0].shape[1:] != test[0].shape[1:]:
            shapes = " and ".join(str(tuple(images.shape[1:])) for images, _ in (train, test))
            raise ValueError(f"train and test images differ in shape: {shapes}")
        _check_classes(train[1], test[1])
        return train, test
    except ValueError as error:
        raise SettingError("dataset.name", f"{dataset.name}: {error}") from None


def _checked(result: Any, train: bool) -> Arrays:
    """Images and labels as tensors; ValueError if they are none."""
    try:
        return _tensors(result)
    except ValueError as error:
        raise ValueError(f"{error}{'' if train else ' (from train=False)'}") from None


def _tensors(result: Any) -> Arrays:
    expected = "expected it to return (images, labels), two arrays"
    if not isinstance(result, tuple | list) or len(result) != 2:
        parts = f" of {len(result)}" if isinstance(result, tuple | list) else ""
        raise ValueError(f"{expected}, got {type(result).__name__}{parts}")
    images, labels = map(_array, result)
    if images is None or labels is None:
        what = "images" if images is None else "labels"
        raise ValueError(f"{expected}; its {what} are {_kind(result[images is not None])}")
    return _images(images, labels), _labels(labels)


def _array(part: Any) -> Tensor | None:
    """A tensor of numbers, however it was kept; None for anything else."""
    if isinstance(part, Tensor):
        return part.detach().cpu().contiguous()
    try:
        array = np.asarray(part)
    except (TypeError, ValueError, RuntimeError):  # parts of several shapes, for example
        return None
    if array.dtype.kind not in "iufb":
        return None
    try:  # torch takes no other byte orders, negative strides or arrays that cannot be written
        return torch.from_numpy(np.require(array, array.dtype.newbyteorder("="), ["C", "W"]))
    except TypeError:  # of more digits than torch knows
        return None


def _kind(part: Any) -> str:
    """What an array that is no tensor of numbers holds."""
    try:
        array = np.asarray(part)
    except (TypeError, ValueError, RuntimeError):
        return f"a {type(part).__name__} of parts that differ in shape"
    if array.ndim == 0:
        return f"a {type(part).__name__}"
    first = array.flat[0] if array.size else part
    if isinstance(first, str | bytes):
        return f"text such as {str(first)!r}; number the classes from 0"
    return f"a {type(part).__name__} of {type(first).__name__}"


def _images(images: Tensor, labels: Tensor) -> Tensor:
    """(n, c, h, w), uint8 or float32 in [0, 1]."""
    given = tuple(images.shape)
    if images.dim() == 3:
        images = images[:, None]
    if images.dim() != 4 or labels.shape[:1] != images.shape[:1] or not images.numel():
        raise ValueError(
            "expected images (n, h, w) or (n, c, h, w) and n labels, got "
            f"{given} and {tuple(labels.shape)}"
        )
    _, first, second, last = images.shape
    if last in _CHANNELS and min(first, second) > max(_CHANNELS):
        raise ValueError(
            f"images {tuple(images.shape)} have their channels last; expected (n, c, h, w): "
            "transpose(0, 3, 1, 2) of an array, permute(0, 3, 1, 2) of a tensor"
        )
    if images.dtype == torch.uint8:
        return images
    if not images.is_floating_point():
        raise ValueError(f"expected uint8 images, or floats in [0, 1], got {images.dtype}")
    if not bool(images.isfinite().all()):
        bad = int((~images.isfinite()).flatten(1).any(1).sum())
        raise ValueError(f"{bad} of {len(images)} images have pixels that are NaN or infinite")
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        found = f"[{low:.9g}, {high:.9g}]{_remedy(low, high)}"
        raise ValueError(f"float images must lie in [0, 1], and these in {found}")
    return images.float()


def _remedy(low: float, high: float) -> str:
    """What brings images to [0, 1] whose pixels are between these."""
    if low >= -0.1 and high <= 1.1:
        return "; clip them"
    if low >= -1 and high <= 1:
        return "; take (x + 1) / 2: the model's first layer normalises"
    if low < 0:
        return "; leave normalisation to the model's first layer"
    return "; divide by the largest value that a pixel can have, or return uint8"


def _labels(labels: Tensor) -> Tensor:
    """(n,) whole numbers."""
    if labels.dim() != 1:
        wide = labels.dim() == 2 and labels.shape[1] > 1
        text = "; of one-hot labels take argmax(1)" if wide else "; take labels.reshape(-1)"
        raise ValueError(f"expected n labels, got {tuple(labels.shape)}{text}")
    if labels.is_floating_point():
        raise ValueError(f"expected whole labels, got {labels.dtype}; convert them to integers")
    labels = labels.long()
    if bool((labels < 0).any()):
        raise ValueError(f"labels must count from 0, and the lowest is {int(labels.min())}")
    return labels


def _check_classes(train: Tensor, test: Tensor) -> None:
    """ValueError unless there are several classes, each with training images."""
    known = {*train.tolist()}
    if len(known) < 2:
        raise ValueError(f"expected two or more classes, but every training label is {min(known)}")
    if extra := sorted({*test.tolist()} - known):
        raise ValueError(f"test images have label {_some(extra)}, which no training image has")
    first = range(min(max(known), len(known) + _NAMED))
    if gaps := [label for label in first if label not in known]:
        raise ValueError(
            f"no training image has label {_some(gaps)}: labels count from 0 without gaps, and "
            f"these go from {min(known)} to {max(known)}; renumber them"
        )


def _some(labels: list[int]) -> str:
    return ", ".join([*map(str, labels[:_NAMED]), *(["..."] if len(labels) > _NAMED else [])])
