"""Random numbers: every purpose has its own stream, so that none disturbs another.

A stream is named by (seed, purpose, epoch, batch) or by the index of an example. Nothing has
to be saved to resume, and evaluating more or less often changes no training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor


def seed_of(*name: int | str) -> int:
    """A 63-bit seed from the parts of a stream's name."""
    digest = hashlib.sha256("/".join(map(str, name)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(*name: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator at the beginning of the named stream."""
    return torch.Generator(device=device).manual_seed(seed_of(*name))


@dataclass(frozen=True)
class Draws:
    """A stream for a whole batch, of which this process keeps its share.

    Each process draws for all, so that no number depends on how many there are.
    """

    generator: torch.Generator
    whole: int  # images of the batch
    share: slice

    def whole_like(self, part: Tensor) -> Tensor:
        """An empty tensor for the whole batch, laid out as the part is."""
        return part.new_empty_strided((self.whole, *part.shape[1:]), part.stride())


Source = torch.Generator | Draws


def normal_like(like: Tensor, source: Source | None) -> Tensor:
    """Standard normal numbers of the shape (n, ...) of `like`."""
    if isinstance(source, Draws):
        return normal_like(source.whole_like(like), source.generator)[source.share]
    return torch.empty_like(like).normal_(generator=source)


def seed_global(seed: int, device: torch.device) -> None:
    """Begin the global stream that dropout on the device draws from.

    On a CPU torch.manual_seed would also note, each time and for ever, what to tell a GPU.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


@contextmanager
def preserved() -> Iterator[None]:
    """Leave torch's global generators and thread count to the caller as they were."""
    threads = torch.get_num_threads()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        torch.set_num_threads(threads)
