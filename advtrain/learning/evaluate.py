"""Clean and robust loss and accuracy of a model on a set of images.

The attack's starts depend on each example's index alone: neither batch size, epoch, seed nor
the other examples change them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from advtrain.learning.attack import Norm, ascend, judge, mode, strongest, uniform_in_ball
from advtrain.learning.data.images import Images, in_turn
from advtrain.learning.stationarity import fosc, gradients
from advtrain.learning.streams import stream

_BATCH = 256
_DOUBLED = 128  # images, evenly spread, on which the attack goes on to twice its steps


@dataclass(frozen=True)
class Score:
    """Mean cross-entropies in nats and accuracies in [0, 1]; see records.py for each."""

    clean_loss: float
    clean_acc: float
    robust_loss: float
    robust_acc: float
    fgsm_acc: float | None = None
    robust_loss_2x: float | None = None
    fosc: float | None = None


def clean_score(model: nn.Module, images: Images) -> tuple[float, float]:
    """Loss and accuracy on the images as they are, in eval mode."""
    with mode(model, "eval"):
        judged = [judge(model, x, y) for x, y, _ in images.batches(in_turn(len(images), _BATCH))]
    losses, hits = zip(*judged, strict=True)
    return _mean(losses), _mean(hits)


def evaluate(
    model: nn.Module,
    images: Images,
    *,
    norm: Norm,
    eps: float,
    steps: int,
    restarts: int = 1,
    fgsm: bool = False,
    doubled: bool = False,
) -> Score:
    """Score of the model in eval mode under PGD of step size 2.5 eps / steps.

    Of several restarts the one with the highest loss counts. `fgsm` adds the accuracy under one
    full step, `doubled` the loss after twice the steps: the same trajectories are carried on for
    some of the images, and their mean rise is added to the loss of all. These images also give
    the first-order stationary condition.
    """
    climb = partial(ascend, model, norm=norm, eps=eps)
    alpha = 2.5 * eps / steps
    every = -(-len(images) // _DOUBLED)
    order = in_turn(len(images), _BATCH)
    clean, robust, single, rise, left = [], [], [], [], []
    with mode(model, "eval"):
        for positions, (x, y, ids) in zip(order, images.batches(order), strict=True):
            clean.append(judge(model, x, y))
            starts = (own_start(x, ids, norm, eps, restart) for restart in range(restarts))
            found = (climb(x, y, start, alpha=alpha, steps=steps) for start in starts)
            x_adv, loss, resisted = strongest(model, found, y)
            robust.append((loss, resisted))
            some = positions % every == 0
            if fgsm:
                single.append(judge(model, climb(x, y, x, alpha=eps, steps=1), y)[1])
            if doubled and some.any():
                x, y, x_adv = x[some], y[some], x_adv[some]
                grad, _ = gradients(model, x_adv, y)
                left.append(fosc(x_adv, x, grad, norm=norm, eps=eps))
                further = climb(x, y, x_adv, alpha=alpha, steps=steps)
                rise.append(judge(model, further, y)[0] - loss[some])
    clean_losses, clean_hits = zip(*clean, strict=True)
    robust_losses, robust_hits = zip(*robust, strict=True)
    return Score(
        _mean(clean_losses),
        _mean(clean_hits),
        _mean(robust_losses),
        _mean(robust_hits),
        _mean(single) if fgsm else None,
        _mean(robust_losses) + _mean(rise) if doubled else None,
        _mean(left) if doubled else None,
    )


def own_start(x: Tensor, ids: Tensor, norm: Norm, eps: float, restart: int) -> Tensor:
    """A uniform start drawn for each example from the stream of its index."""
    blank = torch.zeros(1, *x.shape[1:])  # on the CPU, whose streams are the same everywhere
    drawn = [
        uniform_in_ball(blank, norm, eps, stream("evaluation", index, restart))
        for index in ids.tolist()
    ]
    return (x + torch.cat(drawn).to(x.device)).clamp(0, 1)


def _mean(parts: Sequence[Tensor]) -> float:
    """Mean over all examples of all batches."""
    return float(torch.cat(tuple(parts)).cpu().double().mean())
