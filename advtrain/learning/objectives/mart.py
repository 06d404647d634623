"""MART (Wang et al. 2020, "Improving Adversarial Robustness Requires Revisiting Misclassified
Examples")."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advtrain.learning.objectives.batch import Batch, Outcome

_LEAST = 1e-12  # of a probability before its logarithm


def mart(model: nn.Module, batch: Batch, x_adv: Tensor) -> Outcome:
    """Boosted cross-entropy (eq. 9) plus beta KL(p(x) || p(x')) (1 - p_y(x)) (eqs. 10 and 11).

    The boost is -log(1 - the highest probability of a wrong class). All of it is descended, and
    the attack is that of `pgd`.
    """
    y = batch.y[:, None]
    clean, logits = model(batch.x).softmax(1), model(x_adv)
    wrong = logits.softmax(1).scatter(1, y, -1.0).amax(1)
    boost = -torch.log((1 - wrong).clamp_min(_LEAST))
    divergence = F.kl_div(logits.log_softmax(1), clean, reduction="none").sum(1)
    unsure = 1 - clean.gather(1, y)[:, 0]
    loss = F.cross_entropy(logits, batch.y) + boost.mean()
    return Outcome(loss + batch.keys.beta * (divergence * unsure).mean(), logits)
