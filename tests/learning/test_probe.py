"""The diagnostics of the inner axis: what the training attack does to a few fixed images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from advtrain import load_config, train
from advtrain.config.schema import Config
from advtrain.config.validation import problems_of
from advtrain.learning.attacks.ball import Ascent, Ball
from advtrain.learning.attacks.evaluating import EvaluatingAttack, own_start
from advtrain.learning.attacks.pgd import ascend, pgd
from advtrain.learning.attacks.stationarity import fosc, gradients
from advtrain.learning.data.images import Resident
from advtrain.learning.measuring.probe import probe
from advtrain.learning.measuring.score import evaluate
from advtrain.records import EpochRecord
from tests.helpers import reference_methods as plain
from tests.helpers.run_files import same_training

BALL = Ball("linf", 0.1)
PROBE = [n for n in EpochRecord(0, 0).__dict__ if n.startswith("probe_")]


def setting(objective: object = "pgd", **attack: object) -> Config:
    keys = {"model": "mlp", "dataset": "digits", "attack": {"eps": 0.1, **attack}}
    keys["objective"] = objective
    found, problems = problems_of(keys)
    assert found is not None, problems
    return found


def images(n: int = 32) -> Resident:
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(n, 1, 8, 8, generator=generator)
    return Resident(x, torch.randint(10, (n,), generator=generator), torch.arange(n))


def measured(model: nn.Module, config: Config, on: Resident | None = None) -> EpochRecord:
    record = EpochRecord(1, 1)
    probe(model, on or images(), config, record)
    return record


def network(scale: float = 1.0) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= scale
    return model


def test_the_probe_measures_the_training_attack_as_configured() -> None:
    model, on = network(3), images()
    x, y = on.images, on.labels
    found = measured(model, setting(steps=3, alpha=0.02, start="zero"), on)
    x_adv = pgd(model, x, y, norm="linf", eps=0.1, alpha=0.02, steps=3, start="zero")
    doubled = pgd(model, x, y, norm="linf", eps=0.1, alpha=0.02, steps=6, start="zero")
    loss = nn.functional.cross_entropy
    assert found.probe_robust_loss == loss(model(x_adv), y).item()
    assert np.isclose(found.probe_robust_loss_2x or 0, loss(model(doubled), y).item())
    assert np.isclose(found.probe_clean_loss or 0, loss(model(x), y).item())
    grad, _ = gradients(model, x_adv, y)
    expected = fosc(x_adv, x, grad, BALL).mean().item()
    assert np.isclose(found.fosc_train or 0, expected)


def test_the_evaluations_attack_beside_it_is_stronger_than_a_feeble_one() -> None:
    model, on = network(3), images()
    told = Resident(on.images, model(on.images).argmax(1), on.ids)
    found = measured(model, setting(steps=1, alpha=0.001, start="zero"), told)
    assert found.probe_pgd_acc is not None and found.probe_robust_acc is not None
    assert found.probe_pgd_acc < found.probe_robust_acc


def test_starts_are_each_examples_own_and_of_several_the_strongest_counts() -> None:
    on = images()
    x, y, ids = on.images, on.labels, on.ids
    model = network(20)

    def losses(restart: int) -> torch.Tensor:
        x_adv = own_start(x, ids, BALL, restart)
        for _ in range(2):  # the attack, written out
            x_adv.requires_grad_()
            loss = nn.functional.cross_entropy(model(x_adv), y)
            (grad,) = torch.autograd.grad(loss, x_adv)
            x_adv = (x_adv.detach() + 0.02 * grad.sign()).clamp(x - 0.1, x + 0.1).clamp(0, 1)
        return nn.functional.cross_entropy(model(x_adv), y, reduction="none").detach()

    one = measured(model, setting(steps=2, alpha=0.02), on).probe_robust_loss
    assert one == pytest.approx(losses(0).mean().item(), rel=1e-5)
    three = measured(model, setting(steps=2, alpha=0.02, restarts=3), on).probe_robust_loss
    best = torch.stack([losses(i) for i in range(3)]).amax(0).mean().item()
    assert three == pytest.approx(best, rel=1e-5) and best > losses(0).mean().item()


def test_gradients_that_vanish_where_the_network_errs_are_counted() -> None:
    assert measured(Masked(), setting()).probe_vanished == 1.0
    assert measured(network(3), setting()).probe_vanished == 0.0


def test_where_all_is_certain_there_is_no_share_of_the_unsure() -> None:
    on = images()
    model = network(2000)
    logits = model(on.images)
    sure = logits.softmax(1).amax(1) > 0.999
    assert sure.sum() > 10
    kept = Resident(on.images[sure], logits.argmax(1)[sure], on.ids[sure])
    assert measured(model, setting(eps=1e-6), kept).probe_vanished is None


def test_buffers_gradients_and_flags_stay_as_they_were() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Linear(16, 10))
    model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    measured(model, setting())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert model.training and all(p.grad is None for p in model.parameters())


def test_probes_switched_off_leave_empty_columns_and_the_same_training(
    tiny: Path, tmp_path: Path
) -> None:
    on = train(load_config(tiny), tmp_path / "runs").metrics
    off = train(load_config(tiny, ["diagnostics=false"]), tmp_path / "runs").metrics
    optional = [*PROBE, "fosc_train", "fosc_test", "test_robust_loss_2x", "grad_alignment"]
    assert off[optional].isna().all().all()
    assert on[[n for n in optional if n != "probe_vanished"]].notna().all().all()
    same_training(on.drop(columns=optional).reindex(columns=on.columns),
                  off.drop(columns=optional).reindex(columns=on.columns))  # fmt: skip


def test_clean_training_has_no_attack_to_probe(tiny: Path, tmp_path: Path) -> None:
    metrics: pd.DataFrame = train(load_config(tiny, ["objective=standard"]), tmp_path / "r").metrics
    assert metrics[PROBE].isna().all().all() and metrics.test_robust_acc.notna().all()


class Masked(nn.Module):
    """Rounds its input, so that no gradient passes, and is wrong or unsure everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = network()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x.detach().round() + 0 * x)


def test_for_trades_it_measures_the_divergence_that_is_ascended() -> None:
    model, on = network(3).double(), images()
    x, y, ids = on.images.double(), on.labels, on.ids
    config = setting("trades", steps=3, alpha=0.02)
    found = measured(model, config, Resident(x, y, ids))
    start = own_start(x, ids, BALL, 0)
    x_adv, doubled = (plain.trades_attack(model, x, start, 0.1, 0.02, n) for n in (3, 6))
    divergences = [plain.mean_divergence(model, x, at) for at in (x_adv, doubled)]
    assert found.probe_clean_loss == 0
    assert [found.probe_robust_loss, found.probe_robust_loss_2x] == pytest.approx(divergences)
    assert divergences[1] >= divergences[0] > 0.01
    hits = (model(x_adv).argmax(1) == y).double().mean().item()  # of the labels all the same
    assert found.probe_robust_acc == hits
    grad, _ = gradients(model, x_adv, model(x).softmax(1).detach())
    expected = fosc(x_adv, x, grad, BALL).mean().item()
    assert found.fosc_train == pytest.approx(expected)
    from_zero = measured(model, setting("trades", steps=3, alpha=0.02, start="zero"),
                         Resident(x, y, ids))  # fmt: skip
    assert from_zero.probe_robust_loss is not None and from_zero.probe_robust_loss > 0.01


@pytest.mark.parametrize(
    ("objective", "size"),
    [({"name": "fgsm", "start": "zero"}, 0.1), ({"name": "fgsm"}, 0.125),
     ({"name": "fgsm", "start": "noise", "noise": 1.5}, 0.1), ({"name": "free"}, 0.1),
     ({"name": "free", "alpha": 0.03}, 0.03)],
)  # fmt: skip
def test_of_one_step_objectives_it_measures_their_step(
    objective: dict[str, object], size: float
) -> None:
    model, on = network(3), images()
    x, y = on.images, on.labels
    found = measured(model, setting(objective, steps=5), on)
    radius = {"zero": 0.0, "noise": 0.15}.get(str(objective.get("start")), 0.1)
    start = own_start(x, on.ids, Ball("linf", radius), 0) if radius else x
    grad, _ = gradients(model, start, y)
    x_adv = start + size * grad.sign()
    x_adv = (x_adv if radius == 0.15 else x_adv.clamp(x - 0.1, x + 0.1)).clamp(0, 1)
    expected = nn.functional.cross_entropy(model(x_adv), y).item()
    assert found.probe_robust_loss == pytest.approx(expected, rel=1e-5)
    assert found.probe_robust_loss_2x is None and found.probe_pgd_acc is not None


def test_gradients_of_a_linear_network_are_aligned_and_of_a_rounding_one_absent() -> None:
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    aligned = measured(linear, setting(eps=0.01)).grad_alignment
    assert aligned is not None and 0.999 < aligned <= 1 + 1e-6
    bent = measured(network(20), setting(eps=0.3)).grad_alignment
    assert bent is not None and -1 < bent < 0.9
    assert measured(Masked(), setting()).grad_alignment is None


def test_alignment_is_the_mean_cosine_at_the_image_and_at_a_random_point() -> None:
    model, on = network(10), images()
    start = own_start(on.images, on.ids, BALL, 0)
    pairs = [gradients(model, at, on.labels)[0].flatten(1) for at in (on.images, start)]
    expected = nn.functional.cosine_similarity(*pairs).mean().item()
    for objective in ("pgd", "trades"):  # of the label's cross-entropy, whatever is descended
        found = measured(model, setting(objective), on).grad_alignment
        assert found == pytest.approx(expected, rel=1e-4)


def test_fosc_test_is_that_of_the_evaluations_attack() -> None:
    model, on = network(3), images()
    x, y = on.images, on.labels
    found = evaluate(model, on, EvaluatingAttack(BALL, 4), doubled=True).fosc
    start = own_start(x, on.ids, BALL, 0)
    x_adv = ascend(model, x, y, start, Ascent(BALL, alpha=2.5 * 0.1 / 4, steps=4))
    grad, _ = gradients(model, x_adv, y)
    assert found == pytest.approx(fosc(x_adv, x, grad, BALL).mean().item())
    assert found is not None and found > 1e-3
