"""Gradient alignment and weight perturbation, against tests/helpers/reference_methods.py."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advtrain.config.objectives import Pgd
from advtrain.config.schema import Attack
from advtrain.learning.attacks.ball import Ball
from advtrain.learning.attacks.pgd import pgd
from advtrain.learning.objectives import OBJECTIVES
from advtrain.learning.objectives.awp import perturbed
from advtrain.learning.objectives.batch import Batch
from advtrain.learning.objectives.gradalign import alignment, misalignment
from advtrain.learning.streams import stream
from tests.helpers import reference_methods as plain
from tests.helpers.steps import built, config_of, splits, trained


class Bowl(nn.Module):
    """Two classes whose difference is sum a (x - c)^2 / 2 beyond c, with the slope a (x - c)."""

    def __init__(self, a: Tensor, c: float) -> None:
        super().__init__()
        self.a, self.c = nn.Parameter(a), c

    def forward(self, x: Tensor) -> Tensor:
        height = (self.a * (x - self.c).clamp_min(0) ** 2).flatten(1).sum(1) / 2
        return torch.stack([torch.zeros_like(height), height], 1)


def test_misalignment_is_that_of_slopes_known_by_hand() -> None:
    a = torch.tensor([[[1.0, -2.0], [0.5, 3.0]]], dtype=torch.float64)
    x = 0.3 + 0.5 * torch.rand(5, 1, 2, 2, dtype=torch.float64, generator=torch.Generator())
    y = torch.tensor([0, 1, 1, 0, 1])
    batch = Batch(x, y, Pgd(), Attack(eps=0.2), torch.Generator().manual_seed(3))
    other = Ball("linf", 0.2).start(x, torch.Generator().manual_seed(3))
    found = misalignment(Bowl(a, 0.0), batch)
    slopes = [(a * at).flatten(1) for at in (x, other)]
    assert found.item() == pytest.approx(1 - F.cosine_similarity(*slopes).mean().item())
    assert found.item() > 0.001
    # Where x is below c nothing has a slope: only the others count.
    batch.x[:2] = 0.1
    batch = Batch(batch.x, y, Pgd(), Attack(eps=0.2), torch.Generator().manual_seed(3))
    other = Ball("linf", 0.2).start(batch.x, torch.Generator().manual_seed(3))
    slopes = [(a * (at - 0.3001).clamp_min(0)).flatten(1)[2:] for at in (batch.x, other)]
    expected = 1 - F.cosine_similarity(*slopes).mean().item()
    assert misalignment(Bowl(a, 0.3001), batch).item() == pytest.approx(expected)
    flat = misalignment(Bowl(a, 2.0), batch)  # none has
    flat.backward()
    assert flat.item() == 0


def test_alignment_of_tiny_gradients_is_as_good_as_any() -> None:
    a, b = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]]), torch.tensor([[4.0, 3.0]] * 3)
    for scale in (1.0, 1e-30):
        assert alignment(scale * a, b).tolist() == pytest.approx([0.96, 0.8])


def smooth() -> nn.Module:
    torch.manual_seed(2)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    with torch.no_grad():
        model[1].weight *= 4
    return model


def aligned(model: nn.Module, weight: float = 0.7) -> tuple[Batch, Tensor]:
    x = splits(6).train.images.double()
    threat = Attack(eps=0.3)
    keys = Pgd(gradalign=weight)
    return Batch(x, torch.arange(6) % 3, keys, threat, torch.Generator().manual_seed(3)), x


def test_gradalign_is_added_to_the_loss_and_descended_by_double_backpropagation() -> None:
    model = smooth()

    def loss() -> Tensor:
        batch, x = aligned(model)
        return OBJECTIVES["pgd"].loss(model, batch, x).loss

    batch, x = aligned(model)
    other = Ball("linf", 0.3).start(x, torch.Generator().manual_seed(3))
    term = plain.misalignment(model, x, other, batch.y)
    expected = plain.cross_entropy(model, x, batch.y) + 0.7 * term
    torch.testing.assert_close(loss(), expected)
    assert term.item() > 0.01
    pairs = [torch.autograd.grad(each, list(model.parameters())) for each in (loss(), expected)]
    for own, theirs in zip(*pairs, strict=True):
        torch.testing.assert_close(own, theirs)
    for parameter, gradient in zip(model.parameters(), pairs[0], strict=True):
        for place in (0, -1):
            values = []
            for shift in (1e-5, -1e-5):
                with torch.no_grad():
                    parameter.view(-1)[place] += shift
                    values.append(loss().item())
                    parameter.view(-1)[place] -= shift
            slope = (values[0] - values[1]) / 2e-5
            assert gradient.flatten()[place].item() == pytest.approx(slope, rel=1e-5, abs=1e-8)


def normed() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3)
    )


@pytest.mark.parametrize("momentum", [0.1, None])
def test_only_the_descending_pass_counts_for_batch_norm(momentum: float | None) -> None:
    once, expected = normed(), normed()
    for each in (once, expected):
        each[2].momentum = momentum
    batch, x = aligned(once)
    batch = Batch(x.float(), batch.y, batch.keys, batch.attack, batch.generator)
    misalignment(once, batch).backward()
    with perturbed(once, lambda: OBJECTIVES["pgd"].loss(once, batch, x.float()).loss, 0.1):
        OBJECTIVES["pgd"].loss(once, batch, x.float()).loss.backward()
        with torch.no_grad():
            inside = [p.clone() for p in once.parameters()]
    for p, at in zip(expected.parameters(), inside, strict=True):
        p.data.copy_(at)
    expected(x.float())
    for name, buffer in expected.named_buffers():
        assert torch.equal(once.get_buffer(name), buffer), name
    assert once[2].momentum == momentum and once[2].num_batches_tracked == 1


def ascent(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    return F.cross_entropy(model(x), y)


def test_awp_moves_each_layer_by_its_share_and_puts_it_back_bit_for_bit() -> None:
    model, x = smooth(), splits(6).train.images.double()
    y = torch.arange(6) % 3
    before = [p.detach().clone() for p in model.parameters()]
    moved = plain.awp(model, lambda net: ascent(net, x, y), 0.05)
    calm = ascent(model, x, y).item()
    with perturbed(model, lambda: ascent(model, x, y), 0.05):
        for own, theirs, was in zip(model.parameters(), moved.parameters(), before, strict=True):
            torch.testing.assert_close(own, theirs)
            if was.dim() == 1:
                assert torch.equal(own, was)
            else:
                assert (own - was).norm().item() == pytest.approx(0.05 * was.norm().item())
        raised = ascent(model, x, y)
        raised.backward()
    assert raised.item() > calm + 0.01
    assert all(torch.equal(p, was) for p, was in zip(model.parameters(), before, strict=True))
    there = torch.autograd.grad(ascent(moved, x, y), list(moved.parameters()))
    for own, theirs in zip(model.parameters(), there, strict=True):
        torch.testing.assert_close(own.grad, theirs)  # that of the perturbed weights


def test_awp_raises_the_loss_by_what_its_slope_says() -> None:
    model, x, y = smooth(), splits(6).train.images.double(), torch.arange(6) % 3
    weights = [p for p in model.parameters() if p.dim() > 1]
    grads = torch.autograd.grad(ascent(model, x, y), weights)
    slope = sum((w.norm() * g.norm()).item() for w, g in zip(weights, grads, strict=True))
    calm = ascent(model, x, y).item()
    with perturbed(model, lambda: ascent(model, x, y), 1e-5):
        rise = ascent(model, x, y).item() - calm
    assert rise == pytest.approx(1e-5 * slope, rel=1e-3)


def test_awp_puts_the_weights_back_whatever_happens_inside() -> None:
    model, x, y = smooth(), splits(6).train.images.double(), torch.arange(6) % 3
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(KeyboardInterrupt), perturbed(model, lambda: ascent(model, x, y), 0.5):
        raise KeyboardInterrupt
    assert all(torch.equal(p, was) for p, was in zip(model.parameters(), before, strict=True))


def test_awp_skips_what_is_frozen_and_what_the_loss_does_not_reach() -> None:
    model, x, y = smooth(), splits(6).train.images.double(), torch.arange(6) % 3
    spare = nn.Linear(2, 2)
    model.add_module("spare", spare)
    model[1].weight.requires_grad_(False)
    frozen, unreached = model[1].weight.clone(), spare.weight.clone()
    with perturbed(model, lambda: ascent(nn.Sequential(*model[:4]), x, y), 0.5):
        assert torch.equal(model[1].weight, frozen) and torch.equal(spare.weight, unreached)


@pytest.mark.parametrize("keys", [{}, {"weight_decay": 0}])
def test_a_step_with_awp_descends_the_gradient_of_the_moved_weights(keys: dict[str, Any]) -> None:
    config = config_of({"name": "pgd", "awp": 0.05}, optimizer={"name": "sgd", "lr": 0.2, **keys})
    (after,), _ = trained(config, 1, splits(4), built())
    order = torch.randperm(4, generator=stream(0, "order", 1))
    x, y, model = splits(4).train.images[order], (torch.arange(4) % 3)[order], built()
    x_adv = pgd(model, x, y, norm="linf", eps=0.1, alpha=0.125, steps=2,
                generator=stream(0, "attack", 1, 0))  # fmt: skip
    moved = plain.awp(model, lambda net: ascent(net, x_adv, y), 0.05)
    grads = torch.autograd.grad(ascent(moved, x_adv, y), list(moved.parameters()))
    decay = config.optimizer.weight_decay
    expected = [p - 0.2 * (g + decay * p) for p, g in zip(model.parameters(), grads, strict=True)]
    torch.testing.assert_close(after, plain.flat(expected))


def test_awp_waits_for_its_warmup() -> None:
    names = {"name": "pgd"}, {"name": "pgd", "awp": 0.05}, {"name": "pgd", "awp": 0.05}
    warmups = 0, 1.5, 0
    plainly, later, atonce = (
        trained(config_of({**keys, **({"awp_warmup": w} if w else {})}), 2, splits(), built())[0]
        for keys, w in zip(names, warmups, strict=True)
    )
    same = [torch.equal(a, b) for a, b in zip(plainly, later, strict=True)]
    assert same == [True] * 6 + [False] * 2  # four steps an epoch
    assert not torch.equal(plainly[0], atonce[0])


@pytest.mark.parametrize("name", ["pgd", "trades", "mart", "fgsm", "mixed", "free"])
def test_awp_changes_what_every_adversarial_objective_learns(name: str) -> None:
    with_it, without = (
        trained(config_of({"name": name, "awp": size}), 1, splits(32), built())[0]
        for size in (0.05, 0.0)
    )
    assert len(with_it) == len(without) == 8
    assert all(not torch.equal(a, b) for a, b in zip(with_it, without, strict=True))


def test_gradalign_and_awp_leave_the_global_generator_alone() -> None:
    model = smooth()
    torch.manual_seed(9)
    before = torch.get_rng_state()
    batch, x = aligned(model)
    with perturbed(model, lambda: OBJECTIVES["pgd"].loss(model, batch, x).loss, 0.1):
        OBJECTIVES["pgd"].loss(model, batch, x).loss.backward()
    assert torch.equal(torch.get_rng_state(), before)
