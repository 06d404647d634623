"""One pass of made-up images through a network, and what is said where it gives no logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from advtrain.errors import SettingError, described
from advtrain.learning.streams import stream

_COUNTS = {1: "one image", 2: "two images", 3: "three images"}


def made_up(count: int, shape: Sequence[int]) -> Tensor:
    """Images (n, c, h, w) of noise in [0, 1], always the same."""
    return torch.rand(count, *shape, generator=stream("made up"))


def logits_of(model: nn.Module, x: Tensor, name: str, classes: int, when: str = "") -> Tensor:
    """The network's logits (n, classes) for images (n, c, h, w).

    SettingError about model.name if it raises or gives anything else; `when` is added to the text.
    """
    try:
        found = model(x)
    except (Exception, SystemExit) as error:  # the network may be the user's
        count = "one image" if len(x) == 1 else "images"
        text = f"{name} fails on {count} of shape {tuple(x.shape[1:])}{when}: {reason(error)}"
        raise SettingError("model.name", text) from error
    if not isinstance(found, Tensor) or found.shape != (len(x), classes):
        got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise refused(
            name, f"expected logits of shape {(len(x), classes)} for {_COUNTS[len(x)]}{when}, "
            f"got {got}{_remedy(found, len(x), classes)}",
        )  # fmt: skip
    if found.dtype not in (torch.float32, torch.float64):
        cast = "; let forward end with .float()" if found.is_floating_point() else ""
        raise refused(name, f"expected logits in float32{when}, got {found.dtype}{cast}")
    return found


def refused(name: str, text: str) -> SettingError:
    """The error about a network that cannot be trained."""
    return SettingError("model.name", f"{name}: {text}")


def reason(error: BaseException) -> str:
    """Another's error in one line, with what it usually means on a GPU."""
    text = described(error)
    if "same device" in text:
        text += " (keep constants with register_buffer, or make them on x.device)"
    return text


def _remedy(found: Any, count: int, classes: int) -> str:
    """What to change where the outputs are no logits."""
    if not isinstance(found, Tensor):
        if isinstance(getattr(found, "logits", None), Tensor):
            return "; let forward return its .logits"
        return "; let forward return the logits alone"
    if count == 1 and found.shape == (classes,):
        return "; squeeze() drops the batch of a single image, flatten(1) does not"
    if found.numel() == count * classes:
        return "; let forward end with flatten(1)" if found.shape[0] == count else ""
    if found.dim() == 2 and found.shape[0] == count:
        return f"; the dataset has {classes} classes: take num_classes as an argument"
    return ""
