"""Each objective against what its paper says, as tests/helpers/reference_methods.py states it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advtrain.config.objectives import Fgsm, Mart, Mixed, Pgd, Standard, Trades
from advtrain.config.schema import Attack
from advtrain.learning.attacks.pgd import pgd
from advtrain.learning.objectives import OBJECTIVES
from advtrain.learning.objectives.batch import Batch
from advtrain.learning.objectives.trades import near
from tests.helpers import reference_methods as plain

N, K = 6, 4
EPS = 0.1


def network(scale: float = 2.0, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(9, 16), nn.Tanh(), nn.Linear(16, K)).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= scale
    return model


def drawn(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(dtype: torch.dtype = torch.float64, n: int = N) -> tuple[Tensor, Tensor, Tensor]:
    """Images, labels, and other points of the ball."""
    generator = drawn(1)
    x = torch.rand(n, 1, 3, 3, generator=generator, dtype=dtype)
    moved = x + EPS * (2 * torch.rand(x.shape, generator=generator, dtype=dtype) - 1)
    return x, torch.arange(n) % K, moved.clamp(0, 1)


def batch(keys: object, x: Tensor, y: Tensor, **attack: object) -> Batch:
    threat = Attack.model_validate({"eps": EPS, "alpha": 0.03, "steps": 4, **attack})
    return Batch(x, y, keys, threat, drawn())


def examples(keys: object, model: nn.Module, x: Tensor, y: Tensor, **attack: object) -> Tensor:
    """The only examples that the objective finds."""
    (found,) = OBJECTIVES[keys.name].examples(model, batch(keys, x, y, **attack))
    return found


def compare(
    keys: object, expected: Callable[..., Tensor], model: nn.Module, **close: float
) -> None:
    """The objective's loss, and its gradient by all parameters."""
    x, y, x_adv = images()
    ours = OBJECTIVES[keys.name].loss(model, batch(keys, x, y), x_adv).loss
    theirs = expected(model, x, y, x_adv)
    torch.testing.assert_close(ours, theirs, **close)
    pairs = [torch.autograd.grad(loss, list(model.parameters())) for loss in (ours, theirs)]
    for own, other in zip(*pairs, strict=True):
        assert float(other.abs().max()) > 1e-3
        torch.testing.assert_close(own, other, **close)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("beta", [0.0, 1.0, 6.0])
def test_trades_is_the_papers_sum(beta: float, smoothing: float) -> None:
    keys = Trades(beta=beta, label_smoothing=smoothing)
    compare(keys, partial(plain.trades, beta=beta, smoothing=smoothing), network())


def test_mart_is_the_authors_loss_but_for_their_constants() -> None:
    # Theirs add 1e-4 to 1 - p before the logarithm: in all up to 1e-4 / (1 - p) of the loss.
    model, (x, y, x_adv) = network(), images()
    assert model(x_adv).softmax(1).max() < 0.95
    first = model(x_adv).argmax(1) == y
    assert first.any() and not first.all()  # both ways to the highest wrong class
    for beta in (0.0, 5.0):
        compare(Mart(beta=beta), partial(plain.mart, beta=beta), model, rtol=3e-3, atol=1e-3)
    # The weighted divergence has no constant of note.
    x_adv = 1 - x
    ours = [OBJECTIVES["mart"].loss(model, batch(Mart(beta=b), x, y), x_adv).loss for b in (5, 0)]
    theirs = [plain.mart(model, x, y, x_adv, b) for b in (5, 0)]
    assert (ours[0] - ours[1]).item() > 0.1
    for pair in (ours, theirs):
        pair.append(torch.autograd.grad(pair[0] - pair[1], model[1].weight)[0])
    torch.testing.assert_close(ours[0] - ours[1], theirs[0] - theirs[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours[2], theirs[2], rtol=1e-5, atol=1e-6)


def test_mart_pulls_at_the_surest_mistakes_hardest() -> None:
    # In float32 the wrong class's probability is 1: 1 - p has neither value nor slope there.
    logits = torch.tensor([[0.0, 30.0, 1.0]], requires_grad=True)
    moved = Batch(logits.detach(), torch.tensor([0]), Mart(beta=0), Attack(), drawn())
    loss = OBJECTIVES["mart"].loss(nn.Identity(), moved, logits).loss
    (grad,) = torch.autograd.grad(loss, logits)
    rest = torch.tensor([0.0, 1.0]).logsumexp(0).item()
    assert loss.item() == pytest.approx(30 + 30 - rest, rel=1e-5)
    share = torch.tensor([0.0, 1.0]).softmax(0)
    expected = torch.tensor([[-1 - share[0], 2.0, -share[1]]])
    torch.testing.assert_close(grad, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("keys", [Trades(), Mart()])
def test_a_probability_that_rounds_to_zero_leaves_the_gradient_finite(keys: object) -> None:
    logits = torch.tensor([[0.0, 120.0, 1.0]], requires_grad=True)  # e^-120 is 0 in float32
    assert logits.softmax(1)[0, 0].item() == 0
    model = nn.Linear(1, 1)  # anything between image and logits
    x = torch.ones(1, 1)
    outcome = OBJECTIVES[keys.name].loss(
        lambda at: model(at) * logits, Batch(x, torch.tensor([1]), keys, Attack(), drawn()), 0.9 * x
    )
    outcome.loss.backward()
    assert logits.grad is not None and logits.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize(
    ("make", "adversarial"),
    [(Pgd, 1.0), (Fgsm, 1.0), (Standard, 1.0), (partial(Mixed, weight=0.3), 0.3)],
)
def test_cross_entropies_are_smoothed_by_hand(
    make: Callable[..., object], adversarial: float, smoothing: float
) -> None:
    def expected(model: nn.Module, x: Tensor, y: Tensor, x_adv: Tensor) -> Tensor:
        return adversarial * plain.cross_entropy(model, x_adv, y, smoothing) + (
            1 - adversarial
        ) * plain.cross_entropy(model, x, y, smoothing)

    compare(make(label_smoothing=smoothing), expected, network())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_logits_told_are_those_on_the_adversarial_examples(name: str) -> None:
    model, (x, y, x_adv) = network(), images()
    keys = {"trades": Trades, "mart": Mart, "mixed": Mixed}.get(name, Pgd)()
    logits = OBJECTIVES[name].loss(model, batch(keys, x, y), x_adv).robust_logits
    if name == "standard":
        assert logits is None
    else:
        torch.testing.assert_close(logits, model(x_adv))


def test_both_passes_of_trades_and_of_mart_count_for_batch_norm() -> None:
    for keys in (Trades(), Mart()):
        model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(9), nn.Linear(9, K)).double()
        x, y, x_adv = images()
        OBJECTIVES[keys.name].loss(model, batch(keys, x, y), x_adv)
        norm = model[1]
        assert norm.num_batches_tracked == 2
        first, second = x.flatten(1).mean(0), x_adv.flatten(1).mean(0)
        torch.testing.assert_close(norm.running_mean, 0.09 * first + 0.1 * second)


def test_mixed_norms_the_two_halves_as_one_batch() -> None:
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(9), nn.Linear(9, K)).double()
    x, y, x_adv = images()
    found = OBJECTIVES["mixed"].loss(model, batch(Mixed(weight=0.3), x, y), x_adv).loss
    both = model(torch.cat([x_adv, x]))
    expected = 0.3 * F.cross_entropy(both[:N], y) + 0.7 * F.cross_entropy(both[N:], y)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("start", ["zero", "uniform"])
def test_the_trades_attack_ascends_the_divergence_as_the_authors_does(start: str) -> None:
    model, (x, y, _) = network(4), images()
    found = examples(Trades(), model, x, y, start=start)
    generator = drawn()
    if start == "zero":
        begin = x + 0.001 * torch.empty_like(x).normal_(generator=generator)
    else:
        begin = (x + torch.empty_like(x).uniform_(-EPS, EPS, generator=generator)).clamp(0, 1)
    expected = plain.trades_attack(model, x, begin, EPS, 0.03, 4)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    there, here = (plain.mean_divergence(model, x, at) for at in (found, begin))
    assert there > 2 * here
    assert (found - x).abs().max() <= EPS + 1e-12


def test_the_trades_attack_never_looks_at_the_labels() -> None:
    model, (x, y, _) = network(), images()
    assert torch.equal(examples(Trades(), model, x, y), examples(Trades(), model, x, (y + 1) % K))
    assert not torch.equal(examples(Pgd(), model, x, y), examples(Pgd(), model, x, (y + 1) % K))


def test_of_several_trades_attacks_the_most_divergent_counts() -> None:
    model, (x, y, _) = network(6), images(n=40)
    one, four = (examples(Trades(), model, x, y, restarts=r, steps=1) for r in (1, 4))

    def each(x_adv: Tensor) -> Tensor:
        said, p = model(x_adv).log_softmax(1), model(x).softmax(1)
        return F.kl_div(said, p, reduction="none").sum(1).detach()

    assert (each(four) >= each(one) - 1e-9).all() and (each(four) > each(one)).any()


def test_from_zero_trades_begins_a_thousandth_beside_the_image() -> None:
    x = torch.full((400, 1, 10, 10), 0.5)
    noise = near(x, drawn()) - x
    assert noise.std().item() == pytest.approx(0.001, rel=0.02)
    assert abs(noise.mean().item()) < 2e-5 and noise.abs().max() > 0.003


def test_trades_in_eval_mode_leaves_batch_norm_alone_while_it_attacks() -> None:
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(9), nn.Linear(9, K)).double().train()
    x, y, _ = images()
    examples(Trades(), model, x, y)
    assert model[1].num_batches_tracked == 0 and model.training
    examples(Trades(), model, x, y, model_mode="train")
    assert model[1].num_batches_tracked > 0


def signs(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    F.cross_entropy(model(x), y, reduction="sum").backward()
    assert x.grad is not None
    return x.grad.sign()


@pytest.mark.parametrize(("alpha", "size"), [(None, EPS), ("eps/2", EPS / 2), (0.2, EPS)])
def test_fgsm_from_zero_is_the_image_plus_the_sign(alpha: object, size: float) -> None:
    model, (x, y, _) = network(), images()
    found = examples(Fgsm(start="zero", alpha=alpha), model, x, y)
    expected = (x + size * signs(model, x, y)).clamp(0, 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_fgsm_from_a_uniform_start_is_one_step_of_pgd() -> None:
    model, (x, y, _) = network(), images()
    found = examples(Fgsm(), model, x, y, steps=7)  # of which it takes one
    expected = pgd(model, x, y, norm="linf", eps=EPS, alpha=1.25 * EPS, steps=1, generator=drawn())
    assert torch.equal(found, expected)
    assert (found - x).abs().max() <= EPS + 1e-12
    start = (x + torch.empty_like(x).uniform_(-EPS, EPS, generator=drawn())).clamp(0, 1)
    free = start + 1.25 * EPS * signs(model, start, y)
    torch.testing.assert_close(found, free.clamp(x - EPS, x + EPS).clamp(0, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("noise", "alpha"), [(2.0, None), (1.0, "1.5*eps"), (0.5, None)])
def test_fgsm_from_noise_projects_nothing(noise: float, alpha: object) -> None:
    model, (x, y, _) = network(), images(n=200)
    found = examples(Fgsm(start="noise", noise=noise, alpha=alpha), model, x, y)
    size = EPS if alpha is None else 1.5 * EPS
    wide = torch.empty_like(x).uniform_(-noise * EPS, noise * EPS, generator=drawn())
    start = (x + wide).clamp(0, 1)
    expected = (start + size * signs(model, start, y)).clamp(0, 1)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    farthest = (found - x).abs().max()
    assert 0.9 * (noise * EPS + size) < farthest <= noise * EPS + size + 1e-12
    assert farthest > EPS and found.min() >= 0 and found.max() <= 1


def test_fgsm_from_noise_in_l2_goes_as_far() -> None:
    model, (x, y, _) = network(), images(n=200)
    middle = 0.5 + (x - 0.5) / 10  # away from the box
    found = examples(Fgsm(start="noise"), model, middle, y, norm="l2")
    lengths = (found - middle).flatten(1).norm(dim=1)
    assert EPS < lengths.max() <= 3 * EPS + 1e-9
    inside = examples(Fgsm(), model, middle, y, norm="l2")
    assert (inside - middle).flatten(1).norm(dim=1).max() <= EPS + 1e-9


@pytest.mark.parametrize(
    ("keys", "size"),
    [(Fgsm(), "1.25*eps"), (Fgsm(start="zero"), "eps"), (Fgsm(start="noise"), "eps"),
     (Fgsm(alpha="eps/3"), "eps/3"), (Fgsm(start="noise", alpha=0.25), 0.25)],
)  # fmt: skip
def test_fgsm_steps_are_sized_as_their_papers_do(keys: Fgsm, size: object) -> None:
    assert keys.step == size


def test_strength_shrinks_ball_and_step_and_stride_the_step_alone() -> None:
    model, (x, y, _) = network(), images()
    middle = 0.5 + (x - 0.5) / 10
    whole = batch(Fgsm(start="zero"), middle, y)
    half = Batch(middle, y, whole.keys, whole.attack, drawn(), strength=0.5)
    short = Batch(middle, y, whole.keys, whole.attack, drawn(), strength=0.5, stride=0.4)
    for each, size in ((whole, EPS), (half, EPS / 2), (short, EPS / 5)):
        (found,) = OBJECTIVES["fgsm"].examples(model, each)
        assert (found - middle).abs().amax().item() == pytest.approx(size)
    (found,) = OBJECTIVES["pgd"].examples(model, half)
    assert (found - middle).abs().amax().item() == pytest.approx(EPS / 2)
