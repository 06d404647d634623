"""Which of a run's processes this one is, by what torchrun says. Imports no torch."""

from __future__ import annotations

import os
from dataclasses import dataclass

from advtrain.errors import AdvtrainError

_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK")  # torchrun sets them all, and few others do


@dataclass(frozen=True)
class Place:
    """A process among those of its run, and among those of its machine; both count from 0."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1


def place() -> Place:
    """This process's place; the only one, unless torchrun started several."""
    if not all(name in os.environ for name in _NAMES) or os.environ["WORLD_SIZE"] == "1":
        return Place()
    try:
        rank, size, local = (int(os.environ[name]) for name in _NAMES)
        return Place(rank, size, local, int(os.environ.get("LOCAL_WORLD_SIZE", size)))
    except ValueError:
        raise AdvtrainError(f"{', '.join(_NAMES)} in the environment: expected numbers") from None


def follows() -> bool:
    """Whether another process of the run speaks and writes for this one."""
    return place().rank > 0
