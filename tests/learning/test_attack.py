"""PGD against other implementations, closed forms, and what must hold for any input."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import torchattacks
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from advtrain.learning.attacks.ball import Ascent, Ball, steepest
from advtrain.learning.attacks.evaluating import EvaluatingAttack, own_start, strongest
from advtrain.learning.attacks.pgd import ascend, mode, pgd
from advtrain.learning.data.images import Resident
from advtrain.learning.measuring.score import evaluate
from advtrain.learning.models import build_model


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(3)
    return build_model("small_cnn", in_shape=(1, 8, 8), num_classes=10).eval()


def batch(n: int = 32, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, 1, 8, 8, generator=generator), torch.randint(10, (n,), generator=generator)


@pytest.mark.parametrize("start", ["zero", "uniform"])
@pytest.mark.parametrize(("eps", "alpha", "steps"), [(0.1, 0.025, 10), (8 / 255, 2 / 255, 7)])
def test_linf_equals_torchattacks_bit_for_bit(
    network: nn.Module, start: str, eps: float, alpha: float, steps: int
) -> None:
    x, y = batch()
    torch.set_num_threads(1)
    torch.manual_seed(11)
    theirs = torchattacks.PGD(network, eps, alpha, steps, random_start=start == "uniform")(x, y)
    torch.manual_seed(11)
    ours = pgd(network, x, y, norm="linf", eps=eps, alpha=alpha, steps=steps, start=start)
    assert torch.equal(ours, theirs)
    assert not torch.equal(ours, x)


class Linear(nn.Module):
    """Binary logits (0, w.x + b): cross-entropy is log(1 + exp(-margin))."""

    def __init__(self, weights: Tensor, bias: float) -> None:
        super().__init__()
        self.weights, self.bias = weights, bias

    def forward(self, x: Tensor) -> Tensor:
        score = x.flatten(1) @ self.weights + self.bias
        return torch.stack([torch.zeros_like(score), score], 1)


@pytest.mark.parametrize(("norm", "dual"), [("linf", 1), ("l2", 2)])
@pytest.mark.parametrize("steps", [1, 60])
def test_a_linear_model_is_attacked_to_its_closed_form(norm: str, dual: int, steps: int) -> None:
    generator = torch.Generator().manual_seed(5)
    weights = torch.randn(64, generator=generator, dtype=torch.float64)
    x = 0.4 + 0.2 * torch.rand(50, 1, 8, 8, generator=generator, dtype=torch.float64)  # off the box
    y = torch.randint(2, (50,), generator=generator)
    model, eps = Linear(weights, 0.3), 0.05
    x_adv = pgd(
        model, x, y, norm=norm, eps=eps, alpha=eps if steps == 1 else eps / 4, steps=steps,
        start="zero" if steps == 1 else "uniform", generator=generator,
    )  # fmt: skip
    margin = (2 * y - 1) * (x.flatten(1) @ weights + 0.3)
    expected = torch.log1p(torch.exp(eps * weights.norm(p=dual) - margin))
    found = F.cross_entropy(model(x_adv), y, reduction="none")
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    norm=st.sampled_from(["linf", "l2"]),
    eps=st.floats(0, 2),
    alpha=st.floats(1e-4, 5),
    steps=st.integers(1, 4),
    start=st.sampled_from(["zero", "uniform"]),
    seed=st.integers(0, 10**6),
    extreme=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_results_stay_in_ball_and_box(
    norm: str, eps: float, alpha: float, steps: int, start: str, seed: int, extreme: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    x, y = batch(5, seed)
    x[:2] = extreme
    model = Linear(torch.randn(64, generator=generator), 0.0)
    x_adv = pgd(
        model, x, y % 2, norm=norm, eps=eps, alpha=alpha, steps=steps, start=start,
        generator=generator,
    )  # fmt: skip
    assert x_adv.shape == x.shape and x_adv.min() >= 0 and x_adv.max() <= 1
    delta = (x_adv - x).flatten(1)
    size = delta.abs().amax(1) if norm == "linf" else delta.norm(dim=1)
    assert (size <= eps * (1 + 1e-5) + 1e-6).all()


def test_the_attack_leaves_no_trace_on_the_model() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 10)
    )
    model.train()
    model[1].eval()  # a mixture of modes must come back as it was
    flags = [m.training for m in model.modules()]
    x, y = batch()
    F.cross_entropy(model(x), y).backward()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    grads = [p.grad.clone() for p in model.parameters()]
    with torch.no_grad():  # as evaluation code calls it
        pgd(model, x, y, norm="linf", eps=0.1, alpha=0.03, steps=3)
    assert [m.training for m in model.modules()] == flags
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), grads, strict=True))
    assert x.grad is None and not x.requires_grad


def test_only_train_mode_touches_the_buffers() -> None:
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10))
    x, y = batch()
    keys = {"norm": "linf", "eps": 0.1, "alpha": 0.03, "steps": 3}
    pgd(model, x, y, **keys)
    assert model[1].num_batches_tracked == 0
    pgd(model, x, y, **keys, model_mode="train")
    assert model[1].num_batches_tracked == 3


def test_uniform_starts_fill_the_ball() -> None:
    like = torch.zeros(20_000, 1, 1, 2)
    generator = torch.Generator().manual_seed(0)
    square = Ball("linf", 0.5).uniform(like, generator).flatten(1)
    assert square.abs().max() <= 0.5 and abs(square.mean()) < 0.01
    assert (square.abs().amax(1) < 0.25).float().mean() == pytest.approx(0.25, abs=0.02)
    disc = Ball("l2", 0.5).uniform(like, generator).flatten(1).norm(dim=1)
    assert disc.max() <= 0.5 * (1 + 1e-6)
    assert (disc < 0.25).float().mean() == pytest.approx(0.25, abs=0.02)  # an area, not a radius


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1.0, 1e20])
def test_l2_steps_have_unit_length_however_small_the_gradient(scale: float) -> None:
    grad = scale * torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(steepest(grad, "l2").flatten(1).norm(dim=1), torch.ones(3))
    assert not steepest(torch.zeros(1, 4), "l2").any()


def test_the_strongest_restart_counts_for_each_example(network: nn.Module) -> None:
    x, y = batch(64)
    candidates = [torch.rand_like(x) for _ in range(3)]
    x_adv, loss, resisted = strongest(network, candidates, y)
    losses = torch.stack([F.cross_entropy(network(c), y, reduction="none") for c in candidates])
    torch.testing.assert_close(loss, losses.amax(0))
    torch.testing.assert_close(F.cross_entropy(network(x_adv), y, reduction="none"), loss)
    right = torch.stack([network(c).argmax(1) == y for c in candidates])
    assert torch.equal(resisted, right.all(0))


def test_an_example_resists_only_if_it_does_from_every_start() -> None:
    torch.manual_seed(0)
    candidates = [torch.rand(64, 1, 8, 8) for _ in range(3)]
    wild = nn.Sequential(nn.Flatten(), nn.Linear(64, 3, bias=False))
    with torch.no_grad():
        wild[1].weight -= wild[1].weight.mean(1, keepdim=True)  # so that its answers vary
    y = wild(candidates[0]).argmax(1)
    right = torch.stack([wild(c).argmax(1) == y for c in candidates])
    assert right.all(0).any() and (right.any(0) & ~right.all(0)).any()
    assert torch.equal(strongest(wild, candidates, y)[2], right.all(0))


def test_more_steps_and_restarts_never_look_weaker(network: nn.Module) -> None:
    images = Resident(*batch(300), torch.arange(300))
    ball = Ball("linf", 0.1)
    one = evaluate(network, images, EvaluatingAttack(ball, 5), fgsm=True, doubled=True)
    assert one.robust_loss_2x >= one.robust_loss >= one.clean_loss
    assert one.robust_acc <= one.clean_acc
    assert evaluate(network, images, EvaluatingAttack(ball, 5, 3)).robust_loss >= one.robust_loss


def test_the_doubled_loss_of_all_images_is_the_loss_at_twice_the_steps(network: nn.Module) -> None:
    """With 128 images or fewer nothing is estimated: the trajectory at step 2k is exact."""
    x, y = batch(40)
    ball, images = Ball("linf", 0.1), Resident(x, y, torch.arange(40))
    score = evaluate(network, images, EvaluatingAttack(ball, 4), fgsm=True, doubled=True)
    start = own_start(x, torch.arange(40), ball, 0)
    further = ascend(network, x, y, start, Ascent(ball, alpha=2.5 * 0.1 / 4, steps=8))
    assert score.robust_loss_2x == pytest.approx(F.cross_entropy(network(further), y).item())


def test_each_example_and_each_restart_has_a_start_of_its_own() -> None:
    x, ids, ball = torch.full((3, 1, 4, 4), 0.5), torch.tensor([4, 7, 4]), Ball("linf", 0.1)
    first, again = (own_start(x, ids, ball, restart) for restart in (0, 1))
    assert torch.equal(first[0], first[2]) and not torch.equal(first[0], first[1])
    assert not torch.equal(first, again)


def test_evaluation_of_an_example_does_not_depend_on_the_others(network: nn.Module) -> None:
    x, y = batch(30)
    images = Resident(x, y, torch.arange(30))
    attack = EvaluatingAttack(Ball("linf", 0.1), 3)
    whole = evaluate(network, images, attack).robust_loss
    parts = [
        evaluate(network, Resident(x[i], y[i], i), attack)
        for i in torch.arange(30).flip(0).split(7)
    ]
    sizes = [7, 7, 7, 7, 2]
    mean = sum(p.robust_loss * n for p, n in zip(parts, sizes, strict=True)) / 30
    assert mean == pytest.approx(whole, rel=1e-5)


def test_a_constant_model_is_not_moved_and_stays_finite() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 0 * x.flatten(1)[:, :10]

    x, y = batch()
    for norm in ("linf", "l2"):
        x_adv = pgd(Constant(), x, y, norm=norm, eps=0.1, alpha=0.1, steps=3, start="zero")
        assert torch.equal(x_adv, x)


def test_mode_restores_after_an_exception() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train()
    model[0].bias.requires_grad_(False)  # a user's own, which stays so
    with pytest.raises(KeyError), mode(model, "eval"):
        assert not model.training
        assert not any(p.requires_grad for p in model.parameters())
        raise KeyError
    assert model.training
    assert [p.requires_grad for p in model.parameters()] == [True, False]
