"""What a training step descends: one function for each objective of the config."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advtrain.config.schema import Mixed

Attack = Callable[[Tensor, Tensor], Tensor]  # (x, y) -> x_adv, against the current weights


class Outcome(NamedTuple):
    """The scalar to descend, and the logits on the adversarial examples where there are any."""

    loss: Tensor
    robust_logits: Tensor | None


def pgd(model: nn.Module, x: Tensor, y: Tensor, attack: Attack, _: Any) -> Outcome:
    """Cross-entropy on adversarial examples alone (Madry et al. 2018, eq. 2.1)."""
    logits = model(attack(x, y))
    return Outcome(F.cross_entropy(logits, y), logits)


def mixed(model: nn.Module, x: Tensor, y: Tensor, attack: Attack, keys: Mixed) -> Outcome:
    """Weighted cross-entropy on adversarial and real examples (Goodfellow et al. 2015, eq. 7).

    Both halves go through the model as one batch, so that batch norm sees their mixture.
    """
    robust, clean = model(torch.cat([attack(x, y), x])).chunk(2)
    loss = keys.weight * F.cross_entropy(robust, y)
    return Outcome(loss + (1 - keys.weight) * F.cross_entropy(clean, y), robust)


def standard(model: nn.Module, x: Tensor, y: Tensor, attack: Attack, _: Any) -> Outcome:
    """Cross-entropy on real examples: the baseline without defence."""
    return Outcome(F.cross_entropy(model(x), y), None)


OBJECTIVES: dict[str, Callable[[nn.Module, Tensor, Tensor, Attack, Any], Outcome]] = {
    "pgd": pgd,
    "mixed": mixed,
    "standard": standard,
}
