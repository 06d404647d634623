"""MART (Wang et al. 2020, "Improving Adversarial Robustness Requires Revisiting Misclassified
Examples")."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from advtrain.learning.objectives.batch import Batch, LossAndLogits


def mart(model: nn.Module, batch: Batch, x_adv: Tensor) -> LossAndLogits:
    """Boosted cross-entropy (eq. 9) plus beta KL(p(x) || p(x')) (1 - p_y(x)) (eqs. 10 and 11).

    The boost is -log(1 - the highest probability of a wrong class), from the logits: where that
    probability rounds to 1, its slope stays. All of it is descended, and the attack is that of
    `pgd`.
    """
    y = batch.y[:, None]
    clean, logits = model(batch.x).log_softmax(1), model(x_adv)
    wrong = logits.scatter(1, y, -math.inf).argmax(1, keepdim=True)
    boost = logits.logsumexp(1) - logits.scatter(1, wrong, -math.inf).logsumexp(1)
    # In logarithms, as for `trades`.
    divergence = F.kl_div(logits.log_softmax(1), clean, reduction="none", log_target=True).sum(1)
    unsure = 1 - clean.gather(1, y)[:, 0].exp()
    loss = F.cross_entropy(logits, batch.y) + boost.mean()
    return LossAndLogits(loss + batch.keys.beta * (divergence * unsure).mean(), logits)
