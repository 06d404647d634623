"""Clean and robust loss and accuracy of a model on a set of images.

The attack's starts depend on each example's index alone: neither batch size, epoch, seed nor
the other examples change them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from advtrain.learning.attacks.pgd import Norm, ascend, judge, mode, own_start, strongest
from advtrain.learning.attacks.stationarity import fosc, gradients
from advtrain.learning.data.images import Images, portions
from advtrain.learning.distributed.group import ALONE, Group

_BATCH = 256
_FIGURES = ("clean_loss", "clean_acc", "robust_loss", "robust_acc", "fgsm_acc", "fosc", "rise")
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


def clean_score(model: nn.Module, images: Images, group: Group = ALONE) -> tuple[float, float]:
    """Loss and accuracy on the images as they are, in eval mode."""
    found, order = _Found(), share_of(len(images), group)
    with mode(model, "eval"):
        for x, y, _ in images.batches(order):
            loss, hits = judge(model, x, y)
            found.add(clean_loss=loss, clean_acc=hits)
    figures = found.means(group)
    return figures["clean_loss"], figures["clean_acc"]


def share_of(count: int, group: Group) -> list[Tensor]:
    """Positions of this process's share of so many images, in batches; it may have none.

    In one piece: of every so manieth image another measurement may be asked for.
    """
    return portions(torch.arange(count).tensor_split(group.size)[group.rank], _BATCH)


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
    group: Group = ALONE,
) -> Score:
    """Score of the model in eval mode under PGD of step size 2.5 eps / steps.

    Of several restarts the one with the highest loss counts. `fgsm` adds the accuracy under one
    full step, `doubled` the loss after twice the steps: the same trajectories are carried on for
    some of the images, and their mean rise is added to the loss of all. These images also give
    the first-order stationary condition. Each process of a group scores its share.
    """
    climb = partial(ascend, model, norm=norm, eps=eps)
    alpha = 2.5 * eps / steps
    every = -(-len(images) // _DOUBLED)
    order = share_of(len(images), group)
    found = _Found()
    with mode(model, "eval"):
        for positions, (x, y, ids) in zip(order, images.batches(order), strict=True):
            loss, hits = judge(model, x, y)
            found.add(clean_loss=loss, clean_acc=hits)
            starts = (own_start(x, ids, norm, eps, restart) for restart in range(restarts))
            ends = (climb(x, y, start, alpha=alpha, steps=steps) for start in starts)
            x_adv, loss, resisted = strongest(model, ends, y)
            found.add(robust_loss=loss, robust_acc=resisted)
            some = positions % every == 0
            if fgsm:
                found.add(fgsm_acc=judge(model, climb(x, y, x, alpha=eps, steps=1), y)[1])
            if doubled and some.any():
                x, y, x_adv = x[some], y[some], x_adv[some]
                grad, _ = gradients(model, x_adv, y)
                further = climb(x, y, x_adv, alpha=alpha, steps=steps)
                left = fosc(x_adv, x, grad, norm=norm, eps=eps)
                found.add(fosc=left, rise=judge(model, further, y)[0] - loss[some])
    figures = found.means(group)
    if "rise" in figures:
        figures["robust_loss_2x"] = figures["robust_loss"] + figures.pop("rise")
    return Score(**figures)


class _Found:
    """Figures of single examples, by name, batch after batch."""

    def __init__(self) -> None:
        self._parts: dict[str, list[Tensor]] = {name: [] for name in _FIGURES}

    def add(self, **figures: Tensor) -> None:
        """Note a batch's figures, (n,) each."""
        for name, values in figures.items():
            self._parts[name].append(values)

    def means(self, group: Group) -> dict[str, float]:
        """Of each figure that there is the mean over the examples of all processes."""
        empty = torch.zeros(0)  # a process may have had none
        values = [torch.cat(parts or [empty]).cpu().double() for parts in self._parts.values()]
        sums = group.sum(torch.stack([each.sum() for each in values]))
        counts = group.sum(torch.tensor([len(each) for each in values]))
        named = zip(self._parts, sums.tolist(), counts.tolist(), strict=True)
        return {name: total / count for name, total, count in named if count}
