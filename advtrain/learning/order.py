"""The order in which an epoch's images come, in batches, and what of it cannot be."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from advtrain.config.schema import Config
from advtrain.errors import SettingError
from advtrain.learning.data.images import portions
from advtrain.learning.streams import stream

_LEAST = 2  # images a process: batch norm cannot train on a single image of one pixel


def batches_of(
    count: int, size: int, seed: int, epoch: int, replays: int = 1, processes: int = 1
) -> Sequence[Tensor]:
    """The epoch's random order in batches for all processes together.

    A last batch of fewer than two images a process joins the one before it. With replays a pass
    over the images spans as many epochs, each of which has its part of the batches.
    """
    a_pass, part = divmod(epoch - 1, replays)
    order = torch.randperm(count, generator=stream(seed, "order", a_pass + 1))
    batches = portions(order, size)
    if len(batches) > 1 and len(batches[-1]) < _LEAST * processes:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches[part * len(batches) // replays : (part + 1) * len(batches) // replays]


def check_replays(config: Config, images: int, processes: int = 1) -> None:
    """SettingError where an epoch of `free` would have no batch."""
    replays, size = getattr(config.objective, "replays", 1), config.training.batch_size
    batches = len(batches_of(images, size, config.seed, 1, 1, processes))
    if replays > batches:
        raise SettingError(
            "objective.replays",
            f"{replays}, but {images} training images make only {batches} batches of {size}; "
            "expected at most as many",
            "training.batch_size",
            "dataset.train_size",
        )


def check_shares(config: Config, images: int, processes: int) -> None:
    """SettingError where a process would have fewer than two images of a batch."""
    size = min(config.training.batch_size, images)
    if processes > 1 and size < _LEAST * processes:
        raise SettingError(
            "training.batch_size",
            f"{size} images a step are too few for {processes} processes, which need "
            f"{_LEAST} each; expected at most {max(1, size // _LEAST)} of them",
            "dataset.train_size",
        )


def joined_for(config: Config, images: int, processes: int) -> int:
    """Images of a last batch that only several processes join to the one before it; 0: none."""
    size = config.training.batch_size
    few, many = (batches_of(images, size, config.seed, 1, 1, n) for n in (1, processes))
    return 0 if len(few) == len(many) else len(few[-1])
