"""Projected gradient descent within a ball around the input (Madry et al. 2018).

All inputs are in [0, 1], `eps` and `alpha` in the same units. Per step: ascend the loss along
the gradient's sign (linf) or direction (l2), project to the ball, clamp to the box.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advtrain.learning.attacks.ball import Ascent, Ball, Norm, steepest
from advtrain.learning.streams import Source

Start = Literal["zero", "uniform"]


def pgd(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    norm: Norm,
    eps: float,
    alpha: float,
    steps: int,
    start: Start | Tensor = "uniform",
    generator: Source | None = None,
    model_mode: Literal["eval", "train"] = "eval",
    weight: float = 1.0,
) -> Tensor:
    """Adversarial examples `x_adv` of the shape of `x`, in the eps ball around it and in [0, 1].

    x: (n, ...) floats in [0, 1]; y: (n,) class indices, or (n, classes) probabilities to move away
    from; `start` may be a point (n, ...); `generator` draws the uniform start, on x's device;
    `weight` is a factor of the loss, for a part of a batch whose layers see the whole.
    Parameter gradients and training flags are left as they were; buffers too unless
    `model_mode` is "train". FGSM (Goodfellow et al. 2015) is one step of alpha = eps from zero.
    """
    ball = Ball(norm, eps)
    if isinstance(start, Tensor):
        x_adv = start
    else:
        x_adv = x if start == "zero" else ball.start(x, generator)
    with mode(model, model_mode):
        return ascend(model, x, y, x_adv, Ascent(ball, alpha, steps), weight)


def single_step(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    norm: Norm,
    eps: float,
    alpha: float,
    start: Literal["zero", "uniform", "noise"],
    noise: float = 2.0,
    generator: Source | None = None,
    model_mode: Literal["eval", "train"] = "eval",
    weight: float = 1.0,
) -> Tensor:
    """One step of size `alpha` from a start, in [0, 1]; see `pgd` for the arguments.

    From "zero" and "uniform" the result is in the eps ball. The "noise" start is uniform in a ball
    of `noise` times eps, and nothing is projected: up to noise * eps + alpha from x (N-FGSM, de
    Jorge et al. 2022, algorithm 1).
    """
    if start != "noise":
        return pgd(model, x, y, norm=norm, eps=eps, alpha=alpha, steps=1, start=start,
                   generator=generator, model_mode=model_mode, weight=weight)  # fmt: skip
    begin = Ball(norm, noise * eps).start(x, generator)
    with mode(model, model_mode):
        return ascend(model, begin, y, begin, unprojected(norm, alpha), weight)


def unprojected(norm: Norm, alpha: float) -> Ascent:
    """One step within a ball around where it starts, which the step cannot leave."""
    return Ascent(Ball(norm, alpha), alpha, 1)


def ascend(
    model: nn.Module, x: Tensor, y: Tensor, x_adv: Tensor, ascent: Ascent, weight: float = 1.0
) -> Tensor:
    """Carry `x_adv` on by the steps, in the ball around x; the model stays in the mode it is in."""
    for _ in range(ascent.steps):
        x_adv = x_adv.detach().requires_grad_()
        with torch.enable_grad():
            loss = weighted(F.cross_entropy(model(x_adv), y), weight)
            (grad,) = torch.autograd.grad(loss, x_adv)
        x_adv = torch.add(x_adv.detach(), steepest(grad, ascent.ball.norm), alpha=ascent.alpha)
        x_adv = torch.clamp(x + ascent.ball.project(x_adv - x), 0, 1)
    return x_adv.detach()


def weighted(loss: Tensor, weight: float) -> Tensor:
    """The loss times the weight; itself, where that is 1."""
    return loss if weight == 1 else loss * weight


@torch.no_grad()
def judge(model: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each example, and whether it is classified as `y`; both (n,).

    Of probabilities (n, classes) the likeliest class counts.
    """
    logits, label = model(x), y if y.dim() == 1 else y.argmax(1)
    return F.cross_entropy(logits, y, reduction="none"), logits.argmax(1) == label


@contextmanager
def mode(model: nn.Module, wanted: Literal["eval", "train"]) -> Iterator[None]:
    """Put the model into a mode, for gradients of inputs alone; all is as it was afterwards."""
    flags = [(module, module.training) for module in model.modules()]
    learning = [p for p in model.parameters() if p.requires_grad]
    model.train(wanted == "train")
    recurrent = wanted == "eval" and any(isinstance(m, nn.RNNBase) for m, _ in flags)
    try:
        # Stem and compiled networks compute all gradients that any loss might ask for.
        for p in learning:
            p.requires_grad_(False)
        # cuDNN cannot differentiate a recurrent layer in eval mode; PyTorch's own kernels can.
        with torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext():
            yield
    finally:
        for module, training in flags:
            module.training = training
        for p in learning:
            p.requires_grad_()
