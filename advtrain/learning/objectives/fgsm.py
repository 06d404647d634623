"""One step: FGSM, FGSM-RS and N-FGSM."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from advtrain.config.objectives import resolve_alpha
from advtrain.learning.attacks.pgd import single_step
from advtrain.learning.objectives.batch import Batch


def fgsm(model: nn.Module, batch: Batch) -> Iterator[Tensor]:
    """One step from x (Goodfellow et al. 2015), from a uniform point of the ball (FGSM-RS: Wong
    et al. 2020, algorithm 3), or from noise in a larger one, without projection (N-FGSM: de Jorge
    et al. 2022, algorithm 1).
    """
    keys, attack = batch.keys, batch.attack
    yield single_step(
        model, batch.x, batch.y, norm=attack.norm, eps=batch.ball.eps,
        alpha=batch.step(resolve_alpha(keys.step, attack.eps, 1)), start=keys.start,
        noise=keys.noise, generator=batch.generator, model_mode=attack.model_mode,
        weight=batch.weight,
    )  # fmt: skip
