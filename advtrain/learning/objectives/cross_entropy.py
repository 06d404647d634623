"""Cross-entropy on adversarial, real, or both kinds of examples."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advtrain.learning.attacks.evaluating import strongest
from advtrain.learning.attacks.pgd import mode, pgd
from advtrain.learning.objectives.batch import Batch, LossAndLogits
from advtrain.learning.objectives.gradalign import misalignment


def multi_step(model: nn.Module, batch: Batch) -> Iterator[Tensor]:
    """The training attack on the label's cross-entropy (Madry et al. 2018)."""
    yield attacked(model, batch, batch.y)


def attacked(model: nn.Module, batch: Batch, target: Tensor, start: Tensor | None = None) -> Tensor:
    """The strongest of the attack's restarts against class indices or probabilities."""
    attack = batch.attack
    found = (
        pgd(
            model, batch.x, target, norm=attack.norm, eps=batch.ball.eps,
            alpha=batch.step(attack.step_size), steps=attack.steps,
            start=attack.start if start is None else start, generator=batch.generator,
            model_mode=attack.model_mode, weight=batch.weight,
        )
        for _ in range(attack.restarts)
    )  # fmt: skip
    if attack.restarts == 1:
        return next(found)
    with mode(model, attack.model_mode):
        return strongest(model, found, target)[0]


def robust(model: nn.Module, batch: Batch, x_adv: Tensor) -> LossAndLogits:
    """Cross-entropy on adversarial examples alone (Madry et al. 2018, eq. 2.1).

    With `gradalign` its weight times the misalignment of input gradients is added.
    """
    logits = model(x_adv)
    loss = F.cross_entropy(logits, batch.y, label_smoothing=batch.keys.label_smoothing)
    if weight := getattr(batch.keys, "gradalign", 0.0):
        loss = loss + weight * misalignment(model, batch)
    return LossAndLogits(loss, logits)


def mixed(model: nn.Module, batch: Batch, x_adv: Tensor) -> LossAndLogits:
    """Weighted cross-entropy on adversarial and real examples (Goodfellow et al. 2015, eq. 7).

    Both halves go through the model as one batch, so that batch norm sees their mixture.
    """
    keys = batch.keys
    logits, clean = model(torch.cat([x_adv, batch.x])).chunk(2)
    loss, real = (
        F.cross_entropy(each, batch.y, label_smoothing=keys.label_smoothing)
        for each in (logits, clean)
    )
    return LossAndLogits(keys.weight * loss + (1 - keys.weight) * real, logits)


def clean(_: nn.Module, batch: Batch) -> Iterator[Tensor]:
    """The images as they are."""
    yield batch.x


def standard(model: nn.Module, batch: Batch, x: Tensor) -> LossAndLogits:
    """Cross-entropy on real examples: the baseline without defence."""
    smoothing = batch.keys.label_smoothing
    return LossAndLogits(F.cross_entropy(model(x), batch.y, label_smoothing=smoothing), None)
