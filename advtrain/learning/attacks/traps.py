"""Signs that attacks by gradient say little about a network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from advtrain.learning.attacks.pgd import mode
from advtrain.learning.attacks.stationarity import gradients
from advtrain.learning.data.images import Images, portions

_BATCH = 256
_TRIED = 1000  # images on which the signs are looked for
_MANY = 0.1  # share of the images without a gradient
_SAME = 1e-4  # distance of outputs, scaled to length 1, that rounding explains


def traps(model: nn.Module, images: Images) -> list[str]:
    """Signs that attacks by gradient say little about this model, as sentences; mostly none.

    Looked for on images spread evenly over the set, in eval mode.
    """
    order = portions(torch.arange(0, len(images), -(-len(images) // _TRIED)), _BATCH)
    without, differ, shares = 0, False, True
    with mode(model, "eval"):
        for x, y, _ in images.batches(order):
            grad, logits = gradients(model, x, y)
            with torch.no_grad():
                again = model(x)
            zero = grad.flatten(1).abs().amax(1) == 0
            without += int(zero.sum())
            differ |= outputs_differ(logits, again)
            shares &= are_probabilities(logits)
    count = sum(map(len, order))
    found = []
    if without > _MANY * count:
        found.append(
            "masked gradients: the input gradient of the loss is zero on "
            f"{without} of {count} images; attacks that follow it fail there"
        )
    if differ:
        found.append(
            "randomised: two passes over the same images give different outputs; the accuracy is "
            "that of one draw, and averaging gradients over draws would attack harder"
        )
    if shares:
        found.append(
            "the outputs are probabilities, not logits: the loss takes their softmax once more, "
            "which flattens its gradients"
        )
    return found


def are_probabilities(outputs: Tensor) -> bool:
    """Whether each row of (n, classes) is in [0, 1] and sums to 1."""
    rows = outputs.float()
    return bool((rows > -1e-5).all() and ((rows.sum(1) - 1).abs() < 1e-5).all())


def outputs_differ(a: Tensor, b: Tensor) -> bool:
    """Whether two (n, classes) outputs differ by more than rounding."""
    return bool((_unit(a) - _unit(b)).norm(dim=1).max() > _SAME)


def _unit(logits: Tensor) -> Tensor:
    length: Tensor = logits.norm(dim=1, keepdim=True)
    return logits / length.clamp_min(1e-10)
