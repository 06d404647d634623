"""The first-order stationary condition, against the closed form and a search over the box."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from advtrain.learning.attacks.ball import Ball
from advtrain.learning.attacks.pgd import pgd
from advtrain.learning.attacks.stationarity import fosc, gradients, reach


class Linear(nn.Module):
    """Two logits, 0 and w.x + b."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.line = nn.Linear(size, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logit = self.line(x.flatten(1))
        return torch.cat([torch.zeros_like(logit), logit], 1)


def batch(seed: int, n: int = 16, size: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 1, 1, size, generator=generator)
    return x, torch.randint(2, (n,), generator=generator)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fosc_is_0_at_the_maximiser_of_a_linear_model(norm) -> None:
    torch.manual_seed(0)
    model, (x, y) = Linear(6), batch(0)
    if norm == "l2":
        x = 0.4 + 0.2 * x  # away from the box, which the l2 condition does not know
    x_adv = pgd(model, x, y, norm=norm, eps=0.1, alpha=0.1, steps=1, start="zero")
    grad, _ = gradients(model, x_adv, y)
    assert fosc(x_adv, x, grad, Ball(norm, 0.1)).max() < 1e-6
    before = fosc(x, x, gradients(model, x, y)[0], Ball(norm, 0.1))
    assert (before > 1e-3).all()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**20), st.floats(0.01, 0.9))
def test_linf_equals_the_best_corner_of_ball_and_box(seed: int, eps: float) -> None:
    x, _ = batch(seed, n=3, size=5)
    generator = torch.Generator().manual_seed(seed + 1)
    low, high = (x - eps).clamp(0, 1), (x + eps).clamp(0, 1)
    x_adv = low + (high - low) * torch.rand(x.shape, generator=generator)
    grad = torch.randn(x.shape, generator=generator)
    found = fosc(x_adv, x, grad, Ball("linf", eps))
    best = torch.full((3,), -torch.inf)
    for choice in itertools.product((False, True), repeat=5):  # a linear function's maximum
        corner = torch.where(torch.tensor(choice).view(1, 1, 1, 5), high, low)
        best = torch.maximum(best, ((corner - x_adv) * grad).flatten(1).sum(1))
    assert torch.allclose(found, best.clamp_min(0), atol=1e-5)
    assert (found >= 0).all()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**20), st.floats(0.01, 3.0))
def test_l2_is_never_negative_and_bounds_every_point_of_the_ball(seed: int, eps: float) -> None:
    x, _ = batch(seed, n=3, size=5)
    generator = torch.Generator().manual_seed(seed + 1)

    def inside() -> torch.Tensor:
        delta = torch.randn(x.shape, generator=generator)
        return x + eps * delta / delta.flatten(1).norm(dim=1).view(-1, 1, 1, 1)

    x_adv, grad = inside(), torch.randn(x.shape, generator=generator)
    found = fosc(x_adv, x, grad, Ball("l2", eps))
    assert (found >= 0).all()
    for _ in range(20):
        gain = ((inside() - x_adv) * grad).flatten(1).sum(1)
        assert (gain <= found + 1e-4 * (1 + found)).all()


def test_gradients_are_each_examples_own() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)).eval()
    x, y = batch(1, n=5)
    together, logits = gradients(model, x, y)
    for i in range(5):
        alone, _ = gradients(model, x[i : i + 1], y[i : i + 1])
        assert torch.allclose(together[i], alone[0], atol=1e-6)
    assert torch.equal(logits, model(x))
    assert all(p.grad is None for p in model.parameters())


def test_reach_is_what_a_full_step_gains_on_a_linear_function() -> None:
    grad = torch.tensor([[[[3.0, -4.0]]]])
    assert reach(grad, Ball("linf", 0.5)).item() == pytest.approx(3.5)
    assert reach(grad, Ball("l2", 0.5)).item() == pytest.approx(2.5)
