"""Passes in training mode that leave batch norm's running statistics alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def unrecorded(model: nn.Module) -> Iterator[None]:
    """Let batch norm use the batch's statistics without adding them to its running ones."""
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    before = [
        (m.momentum, None if m.num_batches_tracked is None else m.num_batches_tracked.clone())
        for m in norms
    ]
    for m in norms:
        m.momentum = 0.0  # not a copy of the buffers: a later backward pass may need these
    try:
        yield
    finally:
        for m, (momentum, count) in zip(norms, before, strict=True):
            m.momentum = momentum
            m.num_batches_tracked = count
