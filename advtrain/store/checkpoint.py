"""Checkpoints: tensors and plain values only, loadable with weights_only=True."""

from __future__ import annotations

import copy
import io
import pickle
import re
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from advtrain.errors import AdvtrainError, SettingError, in_one_line
from advtrain.records import Position, Progress

FORMAT = 1


def to_bytes(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    average: AveragedModel | None = None,
    position: Position | None = None,
) -> bytes:
    """The content of last.pt and best.pt, and with a position of part.pt.

    `ema` has the averaged weights where there are any.
    """
    buffer = io.BytesIO()  # so that a full disk is an OSError when the bytes are written
    torch.save(
        {
            "format": FORMAT,
            "progress": asdict(progress),
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        | ({} if average is None else {"ema": average.state_dict()})
        | ({} if position is None else {"position": vars(position)}),
        buffer,
    )
    return buffer.getvalue()


def read(file: Path) -> dict[str, Any]:
    """A checkpoint written by `to_bytes`; AdvtrainError if it is damaged or something else."""
    content = load_file(file)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise AdvtrainError(f"{file}: not a checkpoint of this version of advtrain")
    return content


def restore(
    file: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    average: AveragedModel | None = None,
) -> Progress:
    """Load a checkpoint into the model (and optimizer); gives how far that run was."""
    return _into(read(file), file, model, optimizer, average)


def restore_part(
    file: Path,
    base: Progress,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: AveragedModel | None,
) -> tuple[Progress, Position] | None:
    """Go on from part.pt; None if it is of an epoch before that which comes after `base`.

    Raises AdvtrainError, with nothing changed, if it is damaged or of a later epoch.
    """
    content = read(file)
    try:
        position, epoch = Position(**content["position"]), content["progress"]["epoch"]
    except (KeyError, TypeError) as error:
        raise AdvtrainError(f"{file}: not of an epoch under way: {in_one_line(error)}") from None
    if epoch < base.epoch:
        return None
    if (epoch, position.step) != (base.epoch, base.step):
        raise AdvtrainError(
            f"{file}: goes on from epoch {epoch}, step {position.step}, but this run is at epoch "
            f"{base.epoch}, step {base.step}"
        )
    parts = [part for part in (model, optimizer, average) if part is not None]
    before = [copy.deepcopy(part.state_dict()) for part in parts]
    try:
        progress = _into(content, file, model, optimizer, average)
    except AdvtrainError:
        for part, state in zip(parts, before, strict=True):
            part.load_state_dict(state)
        raise
    for group in optimizer.param_groups:  # that each step sets; there may be none left
        group["lr"] = position.lr
    if position.delta is not None:
        delta = position.delta.to(next(model.parameters()).device)
        position = replace(position, delta=delta)
    return progress, position


def _into(
    content: dict[str, Any],
    file: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None,
    average: AveragedModel | None,
) -> Progress:
    try:
        model.load_state_dict(content["model"])
        if optimizer is not None:
            _restore_optimizer(optimizer, content["optimizer"])
        if average is not None and "ema" in content:  # a parent may have had none
            average.load_state_dict(content["ema"])
        return Progress(**content["progress"])
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise AdvtrainError(f"{file}: does not fit this config: {in_one_line(error)}") from None


def _restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load momenta and step counts; weight decay, momentum and the like stay the config's."""
    own = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, settings in zip(optimizer.param_groups, own, strict=True):
        group.update(settings)


def load_weights(file: Path, model: nn.Module) -> None:
    """Start from a state_dict of the network, of the whole model, or inside a checkpoint."""
    try:
        state = load_file(file)
    except AdvtrainError as error:
        raise SettingError("model.weights", str(error)) from None
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]
    tensors = isinstance(state, dict) and all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    )
    if not tensors:
        raise SettingError("model.weights", f"{file}: expected a state_dict of tensors")
    whole = any(key.startswith("network.") for key in state)
    target = model if whole else model.get_submodule("network")
    try:
        target.load_state_dict(state)
    except RuntimeError as error:
        raise SettingError("model.weights", f"{file}: does not fit: {in_one_line(error)}") from None


def load_file(file: Path) -> Any:
    """What torch.save wrote, if it is tensors and plain values; AdvtrainError if not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the file's format, of which we say more
            return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise AdvtrainError(f"{file}: no such file") from None
    except Exception as error:  # damaged bytes raise anything: IndexError, struct.error, ...
        raise AdvtrainError(f"{file}: {_refused(error)}. Nothing was changed") from None


def _refused(error: Exception) -> str:
    """Why a file was not loaded; torch's own text advises to load it unsafely."""
    if object_in_it := re.search(r"\bGLOBAL ([\w.]+)", str(error)):
        return (
            f"holds a Python object ({object_in_it[1]}), and loading it could run any code; "
            "expected tensors and plain values, as in torch.save(model.state_dict(), FILE)"
        )
    if "TorchScript" in str(error):
        return "is a TorchScript archive; expected a file of torch.save(model.state_dict(), FILE)"
    if isinstance(error, pickle.UnpicklingError):
        return "cannot be loaded as a checkpoint: not written by torch.save, or damaged"
    return f"cannot be loaded as a checkpoint, damaged or something else ({in_one_line(error)})"
