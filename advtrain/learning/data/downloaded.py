"""Datasets that torchvision downloads, or finds where they were put by hand."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from torch import Tensor

from advtrain.config.names import DATASETS, DatasetInfo
from advtrain.errors import AdvtrainError, in_one_line


def downloaded(name: str, root: Path) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Images (n, c, h, w) and labels (n,) of the training and of the test set.

    torchvision shows its progress on stderr and checks what it downloads; two processes that
    miss the same files take turns.
    """
    import torchvision

    info = DATASETS[name]
    dataset: Callable[..., Any] = getattr(torchvision.datasets, info.torchvision)

    def part(train: bool, download: bool) -> Any:
        which = {"split": "train" if train else "test"} if name == "svhn" else {"train": train}
        return dataset(root, **which, download=download)

    try:
        try:
            parts = [part(True, False), part(False, False)]
        except Exception:  # not there, damaged, or another process is at it: take turns
            root.mkdir(parents=True, exist_ok=True)
            with FileLock(root / f".{name}.lock"), contextlib.redirect_stdout(sys.stderr):
                _unpack(root, info)
                parts = [part(True, True), part(False, True)]
    except AdvtrainError:
        raise
    except Exception as error:  # network, disk, archive: torchvision passes on many kinds
        reason = in_one_line(error)
        raise AdvtrainError(
            f"dataset {name}: not complete under {root}, and the download failed; "
            f"put these files there: {info.files} ({reason})"
        ) from None
    return _checked(name, info.train, parts[0]), _checked(name, info.test, parts[1])


def _unpack(root: Path, info: DatasetInfo) -> None:
    """Unpack .gz files put there by hand; torchvision refuses those that others compressed."""
    for file in info.files.split(", "):
        packed, plain = root / file, (root / file).with_suffix("")
        if packed.suffix != ".gz" or packed.suffixes[-2:] == [".tar", ".gz"]:
            continue
        if packed.exists() and not plain.exists():
            temporary = plain.with_name(f".{plain.name}.tmp")
            try:
                with gzip.open(packed) as source, temporary.open("wb") as target:
                    shutil.copyfileobj(source, target)
                temporary.replace(plain)
            except (OSError, EOFError, zlib.error) as error:
                temporary.unlink(missing_ok=True)
                raise AdvtrainError(
                    f"{packed}: cannot be unpacked ({error}); delete it to have it downloaded"
                ) from None


def _checked(name: str, count: int, dataset: Any) -> tuple[Tensor, Tensor]:
    """The tensors inside a torchvision dataset, each class of which keeps them its own way."""
    images = torch.as_tensor(dataset.data)
    if images.dim() == 3:  # MNIST and its like: (n, h, w)
        images = images[:, None]
    elif images.shape[-1] == 3:  # CIFAR: (n, h, w, c)
        images = images.permute(0, 3, 1, 2)
    labels = torch.as_tensor(dataset.targets if hasattr(dataset, "targets") else dataset.labels)
    expected = (count, *DATASETS[name].shape)
    if tuple(images.shape) != expected or labels.shape != (count,):
        raise AdvtrainError(
            f"dataset {name}: expected images of shape {expected}, found {tuple(images.shape)} and "
            f"{len(labels)} labels; delete the files and have them downloaded again"
        )
    return images.contiguous(), labels.long()
