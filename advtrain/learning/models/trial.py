"""Passes through a network for a look at it, of which it keeps nothing.

No copy is made: sound networks hold what Python cannot copy (tensors that were computed, locks,
generators), and layers that a network makes in its first pass would be made in the copy alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


@contextmanager
def trial(model: nn.Module) -> Iterator[None]:
    """Leave weights, buffers, modes, attributes and random numbers as they were before."""
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    kept = [(held, copy.copy(held)) for module in model.modules() for held in _held(module)]
    tensors = [(t, t.detach().clone(), t.requires_grad) for t in _tensors(model)]
    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            yield
    finally:
        for held, content in kept:
            held.clear()
            held.extend(content) if isinstance(held, list) else held.update(content)
        with torch.no_grad():
            for tensor, value, learns in tensors:
                if not torch.equal(tensor, value):
                    tensor.copy_(value)
                if tensor.requires_grad != learns:
                    tensor.requires_grad_(learns)


def _tensors(model: nn.Module) -> list[Tensor]:
    return [*model.parameters(), *model.buffers()]


def _held(module: nn.Module) -> list[Any]:
    """All in the module that can change: its attributes, and those of them that hold others."""
    attributes = vars(module)
    return [attributes, *(v for v in attributes.values() if isinstance(v, dict | list | set))]


@contextmanager
def copyable(model: nn.Module) -> Iterator[None]:
    """Let `copy.deepcopy` take a network that keeps tensors which it computes in each pass.

    PyTorch's older weight_norm does, for example.
    """
    kept = [
        (module, name, value)
        for module in model.modules()
        for name, value in vars(module).items()
        if isinstance(value, Tensor) and not value.is_leaf
    ]
    for module, name, value in kept:
        vars(module)[name] = value.detach()
    try:
        yield
    finally:
        for module, name, value in kept:
            vars(module)[name] = value
