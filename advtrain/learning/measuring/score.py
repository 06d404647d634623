"""Clean and robust loss and accuracy of a model on a set of images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from advtrain.learning.attacks.ball import Ascent
from advtrain.learning.attacks.evaluating import EvaluatingAttack, strongest
from advtrain.learning.attacks.pgd import ascend, judge, mode
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

    In one piece: of every n-th image another measurement may be asked for.
    """
    return portions(torch.arange(count).tensor_split(group.size)[group.rank], _BATCH)


def evaluate(
    model: nn.Module,
    images: Images,
    attack: EvaluatingAttack,
    *,
    fgsm: bool = False,
    doubled: bool = False,
    group: Group = ALONE,
) -> Score:
    """Score of the model in eval mode under the attack.

    Of several restarts the one with the highest loss counts. `fgsm` adds the accuracy under one
    full step, `doubled` the loss after twice the steps: the same trajectories are carried on for
    some of the images, and their mean rise is added to the loss of all. These images also give
    the first-order stationary condition. Each process of a group scores its share.
    """
    ball = attack.ball
    every = -(-len(images) // _DOUBLED)
    order = share_of(len(images), group)
    found = _Found()
    with mode(model, "eval"):
        for positions, (x, y, ids) in zip(order, images.batches(order), strict=True):
            loss, hits = judge(model, x, y)
            found.add(clean_loss=loss, clean_acc=hits)
            x_adv, loss, resisted = strongest(model, attack.ends(model, x, y, ids), y)
            found.add(robust_loss=loss, robust_acc=resisted)
            some = positions % every == 0
            if fgsm:
                x_fgsm = ascend(model, x, y, x, Ascent(ball, ball.eps, 1))
                found.add(fgsm_acc=judge(model, x_fgsm, y)[1])
            if doubled and some.any():
                x, y, x_adv = x[some], y[some], x_adv[some]
                grad, _ = gradients(model, x_adv, y)
                further = ascend(model, x, y, x_adv, attack.ascent)
                rise = judge(model, further, y)[0] - loss[some]
                found.add(fosc=fosc(x_adv, x, grad, ball), rise=rise)
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
