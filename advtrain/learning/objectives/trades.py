"""TRADES (Zhang et al. 2019, "Theoretically Principled Trade-off between Robustness and
Accuracy")."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advtrain.learning.attacks.pgd import mode
from advtrain.learning.objectives.batch import Batch, LossAndLogits
from advtrain.learning.objectives.cross_entropy import attacked
from advtrain.learning.streams import Source, normal_like

_NOISE = 0.001  # sd with which the authors' code leaves the image, where KL has no slope


def divergent(model: nn.Module, batch: Batch) -> Iterator[Tensor]:
    """The attack on KL(p(x) || p(x')), the inner maximum of eq. 5.

    Cross-entropy to the probabilities p(x) differs from it by their entropy, a constant. From a
    zero start the first step begins at x + 0.001 N(0, 1), as in the authors' code.
    """
    with mode(model, batch.attack.model_mode):
        p = probabilities(model, batch.x)
    start = near(batch.x, batch.generator) if batch.attack.start == "zero" else None
    yield attacked(model, batch, p, start)


@torch.no_grad()
def probabilities(model: nn.Module, x: Tensor) -> Tensor:
    """What the model says of x, (n, classes): the target that the attack parts from."""
    p: Tensor = model(x).softmax(1)
    return p


def near(x: Tensor, generator: Source) -> Tensor:
    """The image with a little noise."""
    return x + _NOISE * normal_like(x, generator)


def trades(model: nn.Module, batch: Batch, x_adv: Tensor) -> LossAndLogits:
    """Cross-entropy on x, plus beta times KL(p(x) || p(x')) (eq. 5; beta is 1 / lambda there).

    Both passes are in training mode, one after the other, and both are descended.
    """
    keys, clean = batch.keys, model(batch.x)
    logits = model(x_adv)
    # In logarithms, whose slope is finite where a probability rounds to 0.
    said = clean.log_softmax(1)
    divergence = F.kl_div(logits.log_softmax(1), said, reduction="batchmean", log_target=True)
    natural = F.cross_entropy(clean, batch.y, label_smoothing=keys.label_smoothing)
    return LossAndLogits(natural + keys.beta * divergence, logits)
