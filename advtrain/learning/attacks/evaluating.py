"""The attack that measures robustness: PGD from random starts that belong to each example."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from advtrain.config.objectives import USUAL_ALPHA, resolve_alpha
from advtrain.config.schema import Config
from advtrain.learning.attacks.ball import Ascent, Ball, column
from advtrain.learning.attacks.pgd import ascend, judge
from advtrain.learning.streams import stream


@dataclass(frozen=True)
class EvaluatingAttack:
    """PGD of `steps` steps of size 2.5 eps / steps, from `restarts` starts of each example's own.

    A start depends on the example's index alone: neither batch size, epoch, seed nor the other
    examples change it.
    """

    ball: Ball
    steps: int
    restarts: int = 1

    @classmethod
    def of(cls, config: Config, eps: float | None = None) -> EvaluatingAttack:
        """The one that a config measures by, at its own eps or at another."""
        ball = Ball(config.attack.norm, config.attack.eps if eps is None else eps)
        return cls(ball, config.evaluation.steps, config.attack.restarts)

    @property
    def name(self) -> str:
        """As the attack is called in evaluation.csv, such as `pgd-50-10`."""
        return f"pgd-{self.steps}-{self.restarts}"

    @property
    def ascent(self) -> Ascent:
        """The steps from each start."""
        return Ascent(self.ball, resolve_alpha(USUAL_ALPHA, self.ball.eps, self.steps), self.steps)

    def ends(self, model: nn.Module, x: Tensor, y: Tensor, ids: Tensor) -> Iterator[Tensor]:
        """Where the attack comes to from each start in turn; (n, ...) each.

        x: (n, ...) in [0, 1]; y: (n,) class indices, or (n, classes) probabilities to move away
        from; ids: (n,) indices of the examples. The model is in eval mode.
        """
        for restart in range(self.restarts):
            yield ascend(model, x, y, own_start(x, ids, self.ball, restart), self.ascent)


def strongest(
    model: nn.Module, candidates: Iterable[Tensor], y: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """For each example the candidate of highest loss, that loss, and whether all were resisted."""
    first, *others = candidates
    x_adv, (loss, resisted) = first, judge(model, first, y)
    for other in others:
        other_loss, other_hit = judge(model, other, y)
        stronger = other_loss > loss
        x_adv = torch.where(column(stronger, x_adv), other, x_adv)
        loss, resisted = torch.where(stronger, other_loss, loss), resisted & other_hit
    return x_adv, loss, resisted


def own_start(x: Tensor, ids: Tensor, ball: Ball, restart: int) -> Tensor:
    """A uniform start drawn for each example from the stream of its index."""
    blank = torch.zeros(1, *x.shape[1:])  # on the CPU, whose streams are the same everywhere
    drawn = [ball.uniform(blank, stream("evaluation", i, restart)) for i in ids.tolist()]
    return (x + torch.cat(drawn).to(x.device)).clamp(0, 1)
