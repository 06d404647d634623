"""Weights of any origin for a model that is evaluated, and their checksum."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from advtrain.errors import AdvtrainError, in_one_line
from advtrain.store.checkpoint import load_file


def load_evaluated(file: Path, model: nn.Module, *, ema: bool = False) -> int | None:
    """Load a checkpoint, or a state_dict of the whole model or its network; gives the epoch.

    `ema` takes the averaged weights of a checkpoint. The epoch of a state_dict is None. Raises
    AdvtrainError, beginning with the file, if it cannot be loaded or does not fit.
    """
    content = load_file(file)
    checkpoint = isinstance(content, dict) and isinstance(content.get("model"), dict)
    if checkpoint and "position" in content:
        raise AdvtrainError(f"{file}: is of an epoch under way; evaluate it when that has ended")
    state = content["model"] if checkpoint else content
    if ema:
        state = _averaged(content["ema"] if checkpoint and "ema" in content else None, file)
    tensors = isinstance(state, dict) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    )
    if not tensors:
        raise AdvtrainError(f"{file}: expected a checkpoint, or a state_dict of tensors")
    whole = any(key.startswith("network.") for key in state)
    target = model if whole else model.get_submodule("network")
    try:
        target.load_state_dict(state)
    except RuntimeError as error:
        raise AdvtrainError(
            f"{file}: does not fit this run's model: {in_one_line(error)}"
        ) from None
    progress = content.get("progress") if checkpoint else None
    epoch = progress.get("epoch") if isinstance(progress, dict) else None
    return epoch if isinstance(epoch, int) else None


def _averaged(state: Any, file: Path) -> dict[str, Tensor]:
    """The model's own names of what torch's AveragedModel keeps."""
    if not isinstance(state, dict):
        raise AdvtrainError(
            f"{file}: has no averaged weights, which training.ema would have kept; leave --ema out"
        )
    return {
        str(key).removeprefix("module."): value
        for key, value in state.items()
        if key != "n_averaged"
    }


def checksum(model: nn.Module) -> str:
    """8 hex digits of all parameters and buffers, wherever they are and however laid out."""
    digest = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        if isinstance(value, Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            plain = value.detach().cpu().contiguous().reshape(-1)
            digest.update(plain.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:8]
