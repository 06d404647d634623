"""The processes that train one run together, each on its share of every batch.

Started by torchrun. One process is a group too: then nothing here does anything.
"""

from __future__ import annotations

import datetime
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from advtrain.errors import Lost
from advtrain.process.ranks import place
from advtrain.process.signals import handling

# How long one waits for another: longer than a download or the last row's evaluation takes, and
# an end to what would otherwise hang. Where a process dies, the others know at once.
_PATIENCE = datetime.timedelta(minutes=30)
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Group:
    """One process's view of all: `rank` of `size`. Rank 0 leads: it alone writes and speaks."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the run's files."""
        return self.rank == 0

    @property
    def share(self) -> slice:
        """This process's part of what is shared out: every n-th, never padded."""
        return slice(self.rank, None, self.size)

    def sum(self, part: Tensor) -> Tensor:
        """The sum of all processes' tensors of this shape, the same bits for each of them."""
        if self.size == 1:
            return part
        total = part.detach().clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    def agreed(self, value: _Value) -> _Value:
        """The leader's value, whatever the others gave."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0, device=torch.device("cpu"))
        return values[0]

    def whole(self, part: Tensor | None) -> Tensor | None:
        """(n, ...), of which `part` is this process's share; None if none has any."""
        if part is None or self.size == 1:
            return part
        count = int(self.sum(torch.tensor(len(part))))
        full = part.new_zeros((count, *part.shape[1:]))
        full[self.share] = part
        return self.sum(full)

    def any(self, *flags: bool) -> list[bool]:
        """Of each, whether any process has set it."""
        if self.size == 1:
            return [*flags]
        return (self.sum(torch.tensor(flags, dtype=torch.int32)) > 0).tolist()

    def meet(self) -> None:
        """Go on when all have come here."""
        self.sum(torch.zeros(1))

    @torch.no_grad()
    def agree_buffers(self, model: nn.Module) -> None:
        """Give the leader's buffers to all: what local batch norm saw was each one's own part.

        DistributedDataParallel would do so before each pass, but an attack comes before those.
        """
        buffers = [*model.buffers()] if self.size > 1 else []
        if not buffers:
            return
        shared = torch.cat([buffer.double().reshape(-1) for buffer in buffers])  # in one, exactly
        dist.broadcast(shared, src=0)
        parts = torch.split(shared, [buffer.numel() for buffer in buffers])
        for buffer, part in zip(buffers, parts, strict=True):
            buffer.copy_(part.view_as(buffer))

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model for a pass whose backward pass averages the gradients over the processes."""
        if self.size == 1:
            return model
        with warnings.catch_warnings():  # of the argument's new name, which torch 2.13 lacks
            warnings.simplefilter("ignore", FutureWarning)
            return DistributedDataParallel(model, broadcast_buffers=False)


ALONE = Group()


@contextmanager
def joined() -> Iterator[Group]:
    """The group of this process, entered by all of torchrun's or by one alone.

    A group that is there already is used and left as it is. After an exception none is taken
    apart: the process is about to end, which the others notice.
    """
    at = place()
    group = Group(at.rank, at.size)
    if at.size == 1 or dist.is_initialized():
        yield group
        return
    # Tensors of either kind are reduced where they are.
    both = torch.cuda.is_available() and dist.is_nccl_available()
    # Python's handlers would not run meanwhile.
    with handling(signal.SIG_DFL, signal.SIGTERM, signal.SIGINT):
        dist.init_process_group("cpu:gloo,cuda:nccl" if both else "gloo", timeout=_PATIENCE)
        group.meet()
    yield group
    dist.destroy_process_group()


@contextmanager
def noticing(group: Group) -> Iterator[None]:
    """Raise Lost where another process's end is what went wrong."""
    try:
        yield
    except RuntimeError as error:
        # gloo has no exception of its own; its messages begin with the place in its source.
        if group.size > 1 and (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise Lost("another process of this run ended") from error
        raise
