"""Projected gradient descent within a ball around the input (Madry et al. 2018).

All inputs are in [0, 1], `eps` and `alpha` in the same units. Per step: ascend the loss along
the gradient's sign (linf) or direction (l2), project to the ball, clamp to the box.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advtrain.learning.streams import Draws, Source, normal_like, stream

Norm = Literal["linf", "l2"]
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

    x: (n, ...) floats in [0, 1]; y: (n,) class indices, or (n, classes) probabilities to part from;
    `start` may be a point of one's own; `generator` draws the uniform start, on x's device;
    `weight` is a factor of the loss, for a part of a batch whose layers see the whole.
    Parameter gradients and training flags are left as they were; buffers too unless
    `model_mode` is "train". FGSM (Goodfellow et al. 2015) is one step of alpha = eps from zero.
    """
    if isinstance(start, Tensor):
        x_adv = start
    else:
        x_adv = x if start == "zero" else uniform_start(x, norm, eps, generator)
    with mode(model, model_mode):
        return ascend(model, x, y, x_adv, norm=norm, eps=eps, alpha=alpha, steps=steps,
                      weight=weight)  # fmt: skip


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
    begin = uniform_start(x, norm, noise * eps, generator)
    with mode(model, model_mode):
        # A ball around the start that the step cannot leave.
        return ascend(model, begin, y, begin, norm=norm, eps=alpha, alpha=alpha, steps=1,
                      weight=weight)  # fmt: skip


def ascend(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    x_adv: Tensor,
    *,
    norm: Norm,
    eps: float,
    alpha: float,
    steps: int,
    weight: float = 1.0,
) -> Tensor:
    """Carry `x_adv` on by `steps` steps, with the model in the mode that it is in."""
    for _ in range(steps):
        x_adv = x_adv.detach().requires_grad_()
        with torch.enable_grad():
            loss = weighted(F.cross_entropy(model(x_adv), y), weight)
            (grad,) = torch.autograd.grad(loss, x_adv)
        x_adv = torch.add(x_adv.detach(), steepest(grad, norm), alpha=alpha)
        x_adv = torch.clamp(x + project(x_adv - x, norm, eps), 0, 1)
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


def strongest(
    model: nn.Module, candidates: Iterable[Tensor], y: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """For each example the candidate of highest loss, that loss, and whether all were resisted."""
    first, *others = candidates
    x_adv, (loss, resisted) = first, judge(model, first, y)
    for other in others:
        other_loss, other_hit = judge(model, other, y)
        stronger = other_loss > loss
        x_adv = torch.where(_column(stronger, x_adv), other, x_adv)
        loss, resisted = torch.where(stronger, other_loss, loss), resisted & other_hit
    return x_adv, loss, resisted


def steepest(grad: Tensor, norm: Norm) -> Tensor:
    """The direction of steepest ascent of unit norm; zero where the gradient is."""
    if norm == "linf":
        return grad.sign()
    # The first division keeps the squares of tiny gradients from vanishing.
    grad = grad / _column(grad.abs().flatten(1).amax(1), grad).clamp_min(1e-38)
    return grad / _column(grad.flatten(1).norm(dim=1), grad).clamp_min(1e-12)


def project(delta: Tensor, norm: Norm, eps: float) -> Tensor:
    """The nearest point of the eps ball."""
    if norm == "linf":
        return delta.clamp(-eps, eps)
    length = _column(delta.flatten(1).norm(dim=1), delta)
    return delta * (eps / length.clamp_min(1e-12)).clamp_max(1)


def uniform_start(x: Tensor, norm: Norm, eps: float, generator: Source | None = None) -> Tensor:
    """x plus a point drawn uniformly from the eps ball, clamped to [0, 1]."""
    return torch.clamp(x + uniform_in_ball(x, norm, eps, generator), 0, 1)


def uniform_in_ball(
    like: Tensor, norm: Norm, eps: float, generator: Source | None = None
) -> Tensor:
    """For each example of `like`, a perturbation drawn uniformly from the eps ball."""
    if isinstance(generator, Draws):
        whole = uniform_in_ball(generator.whole_like(like), norm, eps, generator.generator)
        return whole[generator.share]
    if norm == "linf":
        return torch.empty_like(like).uniform_(-eps, eps, generator=generator)
    direction = normal_like(like, generator)
    radius = torch.empty(len(like), device=like.device, dtype=like.dtype)
    # In d dimensions the share of the ball within radius r is r^d.
    radius = eps * radius.uniform_(generator=generator) ** (1 / max(1, like[0].numel()))
    return steepest(direction, "l2") * _column(radius, like)


def own_start(x: Tensor, ids: Tensor, norm: Norm, eps: float, restart: int) -> Tensor:
    """A uniform start drawn for each example from the stream of its index."""
    blank = torch.zeros(1, *x.shape[1:])  # on the CPU, whose streams are the same everywhere
    drawn = [
        uniform_in_ball(blank, norm, eps, stream("evaluation", index, restart))
        for index in ids.tolist()
    ]
    return (x + torch.cat(drawn).to(x.device)).clamp(0, 1)


def _column(values: Tensor, like: Tensor) -> Tensor:
    """(n,) values as (n, 1, 1, ...), to multiply with `like`."""
    return values.view(-1, *[1] * (like.dim() - 1))


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
