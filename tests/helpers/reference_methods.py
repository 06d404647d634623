"""The training objectives as their papers state them: one example after the other, in plain code.

Nothing here is shared with advtrain. Float64 is meant: comparisons then need no slack for rounding.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Weights = list[Tensor]


def log_probabilities(model: nn.Module, x: Tensor, i: int) -> list[Tensor]:
    """The logarithm of each class's probability, of the i-th example alone."""
    logits = model(x[i : i + 1])[0]
    total = sum(z.exp() for z in logits)
    return [z - torch.log(total) for z in logits]


def smoothed(log_p: Sequence[Tensor], label: int, smoothing: float) -> Tensor:
    """Cross-entropy to (1 - s) one-hot + s / K (Szegedy et al. 2016)."""
    found = torch.zeros((), dtype=log_p[0].dtype)
    for k, log_p_k in enumerate(log_p):
        target = smoothing / len(log_p) + (1 - smoothing if k == label else 0)
        found = found - target * log_p_k
    return found


def cross_entropy(model: nn.Module, x: Tensor, y: Tensor, smoothing: float = 0) -> Tensor:
    """Its mean over the examples."""
    found = torch.zeros((), dtype=x.dtype)
    for i, label in enumerate(y.tolist()):
        found = found + smoothed(log_probabilities(model, x, i), label, smoothing)
    return found / len(y)


def divergence(log_p: Sequence[Tensor], log_q: Sequence[Tensor]) -> Tensor:
    """KL(p || q)."""
    found = torch.zeros((), dtype=log_p[0].dtype)
    for a, b in zip(log_p, log_q, strict=True):
        found = found + a.exp() * (a - b)
    return found


def mean_divergence(model: nn.Module, x: Tensor, x_adv: Tensor) -> float:
    """KL(p(x) || p(x')), mean over the examples."""
    pairs = [(log_probabilities(model, x, i), log_probabilities(model, x_adv, i))
             for i in range(len(x))]  # fmt: skip
    return sum(divergence(p, q).item() for p, q in pairs) / len(x)


def trades(
    model: nn.Module, x: Tensor, y: Tensor, x_adv: Tensor, beta: float, smoothing: float = 0
) -> Tensor:
    """Zhang et al. 2019, eq. 5: CE(x, y) + beta KL(p(x) || p(x'))."""
    found = torch.zeros((), dtype=x.dtype)
    for i, label in enumerate(y.tolist()):
        natural, moved = log_probabilities(model, x, i), log_probabilities(model, x_adv, i)
        found = found + smoothed(natural, label, smoothing) + beta * divergence(natural, moved)
    return found / len(y)


def trades_attack(
    model: nn.Module, x: Tensor, start: Tensor, eps: float, alpha: float, steps: int
) -> Tensor:
    """The authors' `trades_loss`, its first half: PGD on KL as torch has it."""
    model.eval()
    x_adv = start.detach()
    for _ in range(steps):
        x_adv.requires_grad_()
        kl = F.kl_div(F.log_softmax(model(x_adv), 1), F.softmax(model(x), 1), reduction="sum")
        (grad,) = torch.autograd.grad(kl, [x_adv])
        x_adv = x_adv.detach() + alpha * torch.sign(grad.detach())
        x_adv = torch.min(torch.max(x_adv, x - eps), x + eps)
        x_adv = torch.clamp(x_adv, 0.0, 1.0)
    return x_adv


def mart(model: nn.Module, x: Tensor, y: Tensor, x_adv: Tensor, beta: float) -> Tensor:
    """The authors' `mart_loss`, its second half, with all of their small constants."""
    found = torch.zeros((), dtype=x.dtype)
    for i, label in enumerate(y.tolist()):
        adv = torch.stack(log_probabilities(model, x_adv, i)).exp()
        nat = torch.stack(log_probabilities(model, x, i)).exp()
        second, first = torch.argsort(adv)[-2:].tolist()
        new_label = second if first == label else first
        boosted = -torch.log(adv[label]) - torch.log(1.0001 - adv + 1e-12)[new_label]
        kl = torch.zeros((), dtype=x.dtype)
        for p, q in zip(nat, adv, strict=True):
            kl = kl + p * (torch.log(p) - torch.log(q + 1e-12))
        found = found + boosted + beta * kl * (1.0000001 - nat[label])
    return found / len(y)


def free(
    model: nn.Module,
    epochs: Sequence[Sequence[tuple[Tensor, Tensor]]],
    replays: int,
    eps: float,
    alpha: float,
    lr: Callable[[int], float],
    momentum: float,
    weight_decay: float,
) -> Weights:
    """Shafahi et al. 2019, algorithm 1, with momentum; the weights after every descent."""
    trace: Weights = []
    velocity = [torch.zeros_like(p) for p in model.parameters()]
    for batches in epochs:
        delta = torch.zeros_like(batches[0][0])
        for x, y in batches:
            n = len(x)
            for _ in range(replays):
                moved = torch.clamp(x + delta[:n], 0, 1).requires_grad_()
                loss = F.cross_entropy(model(moved), y)
                *grads, ascent = torch.autograd.grad(loss, [*model.parameters(), moved])
                with torch.no_grad():
                    for p, v, g in zip(model.parameters(), velocity, grads, strict=True):
                        v.mul_(momentum).add_(g + weight_decay * p)
                        p.sub_(lr(len(trace)) * v)
                    delta[:n] = torch.clamp(delta[:n] + alpha * torch.sign(ascent), -eps, eps)
                trace.append(flat(model.parameters()))
    return trace


def misalignment(model: nn.Module, x: Tensor, other: Tensor, y: Tensor) -> Tensor:
    """Andriushchenko & Flammarion 2020, eq. 6, without its weight; differentiable."""
    cosines = []
    for i in range(len(x)):
        pair = []
        for at in (x[i : i + 1], other[i : i + 1]):
            at = at.clone().requires_grad_()
            loss = F.cross_entropy(model(at), y[i : i + 1])
            (grad,) = torch.autograd.grad(loss, at, create_graph=True)
            pair.append(grad.flatten())
        a, b = pair
        if bool((a != 0).any()) and bool((b != 0).any()):
            cosines.append((a * b).sum() / ((a * a).sum() * (b * b).sum()).sqrt())
    return 1 - sum(cosines) / len(cosines)


def awp(model: nn.Module, loss: Callable[[nn.Module], Tensor], size: float) -> nn.Module:
    """Wu et al. 2020, eq. 10: a copy of the network at the perturbed weights."""
    moved = copy.deepcopy(model)
    weights = list(moved.parameters())
    gradients = torch.autograd.grad(loss(moved), weights)
    with torch.no_grad():
        for w, g in zip(weights, gradients, strict=True):
            if w.dim() >= 2:
                w += size * math.sqrt(float((w**2).sum())) * g / math.sqrt(float((g**2).sum()))
    return moved


def averaged(trace: Sequence[Tensor], decay: float) -> Tensor:
    """The exponential moving average that begins with the first of the trace, as a plain sum."""
    n = len(trace)
    found = decay ** (n - 1) * trace[0]
    for k in range(1, n):
        found = found + (1 - decay) * decay ** (n - 1 - k) * trace[k]
    return found


def flat(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters in one vector, copied."""
    return torch.cat([p.detach().flatten() for p in parameters]).clone()
