"""Random numbers: every purpose has its own stream, so that none disturbs another.

A stream is named by (seed, purpose, epoch, batch) or by the index of an example. Nothing has
to be saved to resume, and evaluating more or less often changes no training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def seed_of(*name: int | str) -> int:
    """A 63-bit seed from the parts of a stream's name."""
    digest = hashlib.sha256("/".join(map(str, name)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def stream(*name: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator at the beginning of the named stream."""
    return torch.Generator(device=device).manual_seed(seed_of(*name))


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
