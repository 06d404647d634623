"""The train, val and test sets of a run, on its device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from advtrain.config.names import DATASETS
from advtrain.config.schema import Dataset
from advtrain.errors import SettingError
from advtrain.learning.data.images import Images, Source, Streamed, in_turn
from advtrain.learning.data.sanity import doubts
from advtrain.learning.data.sources import load_source
from advtrain.learning.data.stratify import stratified
from advtrain.learning.data.summary import described

RESIDENT_BYTES = 2 * 2**30  # decoded images up to this size live on the device
_STATISTICS = 10_000  # images behind the mean and sd of a large training set


@dataclass(frozen=True)
class Data:
    """The splits of a run. `mean` and `std` (channels,) are those of the training images.

    `notes` say what was loaded, `warnings` what about it is seldom meant.
    """

    train: Images
    val: Images | None
    test: Images
    shape: tuple[int, int, int]
    num_classes: int
    mean: Tensor
    std: Tensor
    checksum: str
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def labels(self) -> dict[str, Any]:
        """What guessing gives: entropy (nats) and largest class of the training labels; sizes."""
        counts = np.bincount(self.train.classes_of)
        shares = counts[counts > 0] / counts.sum()
        return {
            "classes": self.num_classes,
            "entropy": float(-(shares * np.log(shares)).sum()),
            "majority": float(shares.max()),
            "train_images": len(self.train),
            "val_images": len(self.val) if self.val is not None else 0,
            "test_images": len(self.test),
        }


def load_data(dataset: Dataset, device: torch.device) -> Data:
    """Load, take `train_size`, hold out `val_size`, move to the device."""
    source = load_source(dataset)
    train, val = _train_and_val(dataset, source)
    parts = [train, source.test, *([] if val is None else [val])]
    fits = sum(len(part) for part in parts) * int(np.prod(source.shape)) <= RESIDENT_BYTES
    train, test, *held_out = (
        part.resident() if fits and isinstance(part, Streamed) else part for part in parts
    )
    notes, warnings = [*source.notes], [*source.warnings]
    if source.val is not None:
        unused = "is 0, so the dataset's own validation images are left out"
        own = "is not used: the dataset has validation images of its own"
        notes.append(f"dataset.val_size {own if held_out else unused}")
    if dataset.name not in DATASETS:
        key = "dataset.root" if dataset.name == "image_folder" else "dataset.name"
        warnings += doubts(key, source, [train, *held_out], test)
    train, test, *held_out = (part.to(device) for part in (train, test, *held_out))
    mean, std = _statistics(train)
    splits = {"training": train, "validation": held_out[0] if held_out else None, "test": test}
    labels = {name: split.classes_of for name, split in splits.items() if split is not None}
    return Data(
        train,
        splits["validation"],
        test,
        source.shape,
        len(source.classes),
        mean,
        std,
        source.checksum,
        (*notes, *described(source.shape, source.classes, labels)),
        tuple(warnings),
    )


def _train_and_val(dataset: Dataset, source: Source) -> tuple[Images, Images | None]:
    train = source.train
    if dataset.train_size is not None:
        fraction = dataset.train_size < 1
        count = round(dataset.train_size * len(train)) if fraction else int(dataset.train_size)
        if not 1 <= count <= len(train):
            raise SettingError(
                "dataset.train_size",
                f"{dataset.train_size:g} is {count} of the {len(train)} images of {dataset.name}; "
                f"expected 1 to {len(train)} of them",
            )
        train = train.take(stratified(train.classes_of, count, "train_size"))
    if dataset.val_size == 0:
        return train, None
    if source.val is not None:
        return train, source.val
    count = round(dataset.val_size * len(train))
    if not 1 <= count < len(train):
        raise SettingError(
            "dataset.val_size",
            f"{dataset.val_size:g} of {len(train)} images is {count}; "
            "expected at least one for validation and one for training",
            "dataset.train_size",
        )
    held_out = stratified(train.classes_of, count, "val_size")
    kept = np.setdiff1d(np.arange(len(train)), held_out)
    return train.take(kept), train.take(held_out)


def _statistics(images: Images) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel; 1 for a channel that never changes."""
    step = max(1, len(images) // _STATISTICS)
    chosen = torch.arange(0, len(images), step)
    sums, pixels = [], 0
    for batch in images.batches([chosen[b] for b in in_turn(len(chosen), 1000)]):
        x = batch.x.cpu().double()
        sums.append(torch.stack([x.sum((0, 2, 3)), x.square().sum((0, 2, 3))]))
        pixels += x.numel() // x.shape[1]
    mean, square = torch.stack(sums).sum(0) / pixels
    std = (square - mean**2).clamp_min(0).sqrt()
    return mean.float(), torch.where(std > 1e-6, std, torch.ones_like(std)).float()
