"""A labelled set of images: resident on the device as tensors, or streamed from files.

Both give the same batches: float images in [0, 1] of shape (n, channels, height, width).
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from advtrain.learning.data.decoding import Decoder

_AHEAD = 2  # batches decoded while one is in use


class Labelled(NamedTuple):
    """Images (n, c, h, w) in [0, 1], class indices (n,), and which examples they are (n,)."""

    x: Tensor
    y: Tensor
    ids: Tensor  # positions in the dataset as it was loaded; on the CPU


class Images(Protocol):
    """What training and evaluation need of a set of images."""

    @property
    def classes_of(self) -> np.ndarray:
        """The label of each image."""

    def __len__(self) -> int: ...

    def take(self, positions: np.ndarray) -> Self:
        """The set of the images at these positions."""

    def to(self, device: torch.device) -> Self:
        """The set whose batches are on the device."""

    def batches(self, order: Iterable[Tensor]) -> Iterator[Labelled]:
        """One batch for each tensor of positions."""


def in_turn(count: int, size: int) -> Sequence[Tensor]:
    """Positions of all images in their own order, in batches of `size`."""
    return portions(torch.arange(count), size)


def portions(positions: Tensor, size: int) -> list[Tensor]:
    """The positions in batches of `size`; the last may be smaller."""
    return [positions[i : i + size] for i in range(0, len(positions), size)]


@dataclass(frozen=True)
class Resident:
    """Images held as one tensor, uint8 of [0, 255] or float of [0, 1]."""

    images: Tensor
    labels: Tensor
    ids: Tensor

    @property
    def classes_of(self) -> np.ndarray:
        """The label of each image."""
        return self.labels.cpu().numpy()

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, positions: np.ndarray) -> Resident:
        """The set of the images at these positions."""
        chosen = torch.as_tensor(positions)
        return Resident(self.images[chosen], self.labels[chosen], self.ids[chosen])

    def to(self, device: torch.device) -> Resident:
        """The set held on the device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def batches(self, order: Iterable[Tensor]) -> Iterator[Labelled]:
        """One batch for each tensor of positions."""
        for positions in order:
            there = positions.to(self.images.device)
            yield Labelled(as_floats(self.images[there]), self.labels[there], self.ids[positions])


@dataclass(frozen=True)
class Streamed:
    """Images decoded from files as they are needed, by threads that run ahead."""

    files: tuple[Path, ...]
    labels: Tensor
    ids: Tensor
    decoder: Decoder
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def classes_of(self) -> np.ndarray:
        """The label of each image."""
        return self.labels.numpy()

    def __len__(self) -> int:
        return len(self.files)

    def take(self, positions: np.ndarray) -> Streamed:
        """The set of the images at these positions."""
        chosen = torch.as_tensor(positions)
        files = tuple(self.files[i] for i in positions)
        return replace(self, files=files, labels=self.labels[chosen], ids=self.ids[chosen])

    def to(self, device: torch.device) -> Streamed:
        """The set whose batches are on the device."""
        return replace(self, device=device)

    def batches(self, order: Iterable[Tensor]) -> Iterator[Labelled]:
        """One batch for each tensor of positions."""
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            waiting: deque[tuple[Tensor, list[Future[Tensor]]]] = deque()
            for positions in order:
                files = [self.files[i] for i in positions.tolist()]
                waiting.append((positions, [pool.submit(self.decoder, file) for file in files]))
                if len(waiting) > _AHEAD:
                    yield self._batch(*waiting.popleft())
            while waiting:
                yield self._batch(*waiting.popleft())

    def _batch(self, positions: Tensor, images: list[Future[Tensor]]) -> Labelled:
        x = torch.stack([image.result() for image in images]).to(self.device)
        return Labelled(as_floats(x), self.labels[positions].to(self.device), self.ids[positions])

    def resident(self) -> Resident:
        """The same set with all images decoded."""
        parts = []
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for start in range(0, len(self), 4096):
                images = list(pool.map(self.decoder, self.files[start : start + 4096]))
                parts.append(torch.stack(images))
        return Resident(torch.cat(parts), self.labels, self.ids)


@dataclass(frozen=True)
class Source:
    """A dataset as it was loaded, before any part of it is taken."""

    train: Images
    test: Images
    shape: tuple[int, int, int]  # channels, height, width
    classes: tuple[str, ...]  # their names, in the order of the labels
    checksum: str
    val: Images | None = None  # only where the dataset has validation images of its own
    notes: tuple[str, ...] = ()  # how it was read
    warnings: tuple[str, ...] = ()  # what was found and is seldom meant


def as_floats(images: Tensor) -> Tensor:
    """uint8 of [0, 255] as floats of [0, 1]; floats as they are."""
    return images.float().div_(255) if images.dtype == torch.uint8 else images
