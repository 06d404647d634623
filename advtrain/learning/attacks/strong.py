"""Strong attacks on a trained model, in stages.

A stage goes through images in batches and says of each whether it was resisted. PGD's batches may
be any; AutoAttack draws one stream for a batch, so the same images have to be together again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from advtrain.errors import AdvtrainError
from advtrain.learning.attacks.ball import Ball
from advtrain.learning.attacks.evaluating import EvaluatingAttack, own_start
from advtrain.learning.attacks.pgd import ascend, judge, mode
from advtrain.learning.data.images import Images, Labelled, portions

AUTOATTACK = ("apgd-ce", "apgd-t", "fab-t", "square")  # the stages, in their order

_BATCH, _AUTO_BATCH = 256, 250  # the latter as AutoAttack's authors
_FEWEST = 4  # classes; the targeted DLR loss needs the four largest logits


@dataclass(frozen=True)
class AttackStage:
    """One attack: `resists` gives for a batch whether each image keeps its label, (n,).

    It goes through the images that stage `after` has left; through all if that is empty.
    """

    name: str
    resists: Callable[[Labelled], Tensor]
    after: str = ""
    size: int = _BATCH

    def batches(self, begin: Tensor) -> list[Tensor]:
        """The positions in each batch, of the images that `begin` (n,) says are left."""
        return portions(begin.nonzero()[:, 0], self.size)


def survivors(
    model: nn.Module, stage: AttackStage, images: Images, begin: Tensor, done: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """For each batch after the first `done`: positions, and whether each was resisted; on the CPU.

    The model is in eval mode until the last batch is taken.
    """
    order = stage.batches(begin)[done:]
    with mode(model, "eval"):
        for positions, batch in zip(order, images.batches(order), strict=True):
            yield positions, stage.resists(batch).cpu()


def clean_stage(model: nn.Module) -> AttackStage:
    """The images as they are; FloatingPointError if the outputs are not finite."""

    def resists(batch: Labelled) -> Tensor:
        loss, hit = judge(model, batch.x, batch.y)
        if bool(loss.isnan().any()):
            raise FloatingPointError
        return hit

    return AttackStage("clean", resists)


def pgd_stage(model: nn.Module, attack: EvaluatingAttack, after: str = "") -> AttackStage:
    """The evaluating attack; a restart only attacks what has resisted those before it."""

    def resists(batch: Labelled) -> Tensor:
        left = torch.ones_like(batch.y, dtype=torch.bool)
        for restart in range(attack.restarts):
            some = left.nonzero()[:, 0]
            if not len(some):
                break
            x, y, ids = batch.x[some], batch.y[some], batch.ids[some.cpu()]
            start = own_start(x, ids, attack.ball, restart)
            x_adv = ascend(model, x, y, start, attack.ascent)
            left[some] = judge(model, x_adv, y)[1]
        return left

    return AttackStage(attack.name, resists, after)


def autoattack_class() -> Any:
    """The class of the package `pyautoattack`; AdvtrainError if it is not installed."""
    try:
        from pyautoattack.autoattack import AutoAttack
    except ImportError:
        raise AdvtrainError(
            "argument '--attack autoattack': needs a package more: pip install "
            "'advtrain[autoattack]'"
        ) from None
    return AutoAttack


def autoattack_stages(
    model: nn.Module,
    ball: Ball,
    *,
    classes: int,
    shape: tuple[int, int, int],
    device: torch.device,
) -> list[AttackStage]:
    """The four of the standard version (Croce & Hein 2020), each on what those before it left.

    They seed torch's global generators for each batch: see streams.preserved. AdvtrainError for
    what the package cannot attack.
    """
    if classes < _FEWEST:
        raise AdvtrainError(
            f"argument '--attack autoattack': expected at least {_FEWEST} classes, which its "
            f"targeted loss (DLR) compares, got {classes}; use --attack pgd"
        )
    logging.getLogger("auto-attack").addHandler(logging.NullHandler())  # `traps` says it once
    tool = partial(autoattack_class(), norm={"linf": "Linf", "l2": "L2"}[ball.norm], seed=0)
    if ball.norm == "l2":
        _check_square(tool, shape)
    auto = tool(model, eps=ball.eps, device=device)
    auto.apgd.loss = "ce"
    auto.fab.targeted = True
    for targeted in (auto.apgd_targeted, auto.fab):
        targeted.n_target_classes = min(targeted.n_target_classes, classes - 1)
    attacks = (auto.apgd, auto.apgd_targeted, auto.fab, auto.square)
    before = ("clean", *AUTOATTACK)
    return [
        AttackStage(name, partial(_resisted, model, attack), after, _AUTO_BATCH)
        for name, attack, after in zip(AUTOATTACK, attacks, before, strict=False)
    ]


@torch.no_grad()
def _resisted(model: nn.Module, attack: Any, batch: Labelled) -> Tensor:
    return judge(model, _perturbed(attack, batch.x.contiguous(), batch.y), batch.y)[1]


def _perturbed(attack: Any, x: Tensor, y: Tensor) -> Tensor:
    try:
        found: Tensor = attack.perturb(x, y)
    except RuntimeError as error:
        # Square of l2 fails where at its first squares the label leads nowhere in the batch, and
        # somewhere just ties, as for a network of constant outputs.
        if "0 elements" not in str(error):
            raise
        alone = range(len(y)) if len(y) > 1 else ()
        return torch.cat([_perturbed(attack, x[i : i + 1], y[i : i + 1]) for i in alone] or [x])
    return found


def _check_square(tool: Callable[..., Any], shape: tuple[int, int, int]) -> None:
    """Square's first squares of l2 do not fit into images below 5 pixels, of 12, 14, 18, ..."""
    square = tool(lambda x: x.new_ones(len(x), _FEWEST).cumsum(1), eps=1.0).square
    square.n_queries = 1
    last = torch.full((1,), _FEWEST - 1)
    try:
        with torch.random.fork_rng(devices=[]):
            square.perturb(torch.zeros(1, *shape), last)
    except (RuntimeError, ZeroDivisionError):
        raise AdvtrainError(
            "argument '--attack autoattack': pyautoattack's Square attack fails for norm l2 on "
            f"images of {shape[1]}x{shape[2]}; use --attack pgd"
        ) from None
