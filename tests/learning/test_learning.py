"""The training step against slow references written out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from advtrain import load_config, train
from advtrain.config.optimization import Adam, AdamW, Sgd
from advtrain.learning.data.splits import load_data
from advtrain.learning.device import suit_threads
from advtrain.learning.loop import clip
from advtrain.learning.models import build_model
from advtrain.learning.optimizer import build_optimizer
from advtrain.learning.order import batches_of
from advtrain.learning.streams import seed_of, stream


def reference(path: Path, overrides: list[str]) -> tuple[dict[str, torch.Tensor], list[float]]:
    """PGD training of the tiny config in plain code: weights and loss of each epoch.

    Only the random draws are shared with the product; attack, momentum, weight decay and
    schedule are spelled out.
    """
    config = load_config(path, overrides)
    data = load_data(config.dataset, torch.device("cpu"))
    torch.manual_seed(seed_of(config.seed, "init"))
    model = build_model("mlp", in_shape=(1, 8, 8), num_classes=10, width=16, depth=1)
    model.normalize.fit(data.mean, data.std)
    velocity = [torch.zeros_like(p) for p in model.parameters()]
    losses, eps = [], config.attack.eps
    for epoch in range(1, config.training.epochs + 1):
        lr = config.optimizer.lr * 0.1 ** ((epoch > 2) + (epoch > 3))
        total = 0.0
        for b, rows in enumerate(batches_of(len(data.train), 32, config.seed, epoch)):
            x, y = data.train.images[rows], data.train.labels[rows]
            noise = torch.empty_like(x).uniform_(
                -eps, eps, generator=stream(config.seed, "attack", epoch, b)
            )
            x_adv = (x + noise).clamp(0, 1)
            for _ in range(2):
                x_adv = x_adv.clone().requires_grad_()
                F.cross_entropy(model(x_adv), y).backward()
                moved = x_adv.detach() + 2.5 * eps / 2 * x_adv.grad.sign()
                x_adv = torch.min(torch.max(moved, x - eps), x + eps).clamp(0, 1)
            model.zero_grad()
            loss = F.cross_entropy(model(x_adv), y)
            loss.backward()
            total += loss.item() * len(y)
            with torch.no_grad():
                for p, v in zip(model.parameters(), velocity, strict=True):
                    v.mul_(0.9).add_(p.grad + 5e-4 * p)
                    p.sub_(lr * v)
        losses.append(total / len(data.train))
    return {k: v.detach() for k, v in model.state_dict().items()}, losses


def test_training_equals_a_plain_loop(tiny: Path, tmp_path: Path) -> None:
    overrides = ["epochs=4", "seed=7"]
    weights, losses = reference(tiny, overrides)
    run = train(load_config(tiny, overrides), tmp_path / "runs")
    assert run.metrics.train_robust_loss.tolist() == pytest.approx(losses, rel=1e-5)
    ours = torch.load(run.dir / "last.pt", weights_only=True)["model"]
    for key, value in weights.items():
        torch.testing.assert_close(ours[key], value, rtol=1e-4, atol=1e-5)


def test_the_global_random_state_neither_matters_nor_moves(tiny: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = train(load_config(tiny), tmp_path / "a").metrics
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = train(load_config(tiny), tmp_path / "b").metrics
    assert torch.equal(torch.get_rng_state(), before)
    columns = first.columns.drop(["images_per_second", "seconds"])
    assert first[columns].equals(second[columns])


def test_seeds_differ_and_splits_do_not(tiny: Path, tmp_path: Path) -> None:
    runs = [train(load_config(tiny, [f"seed={s}"]), tmp_path / "runs").metrics for s in (0, 1)]
    assert runs[0].train_robust_loss.tolist() != runs[1].train_robust_loss.tolist()
    ids = [load_data(load_config(tiny, [f"seed={s}"]).dataset, torch.device("cpu")).train.ids
           for s in (0, 1)]  # fmt: skip
    assert torch.equal(*ids)


def test_standard_training_has_no_robust_training_loss(tiny: Path, tmp_path: Path) -> None:
    run = train(load_config(tiny, ["objective=standard", "lr=0.1", "epochs=15"]), tmp_path / "runs")
    assert run.metrics.train_robust_loss.isna().all()
    assert run.metrics.test_clean_acc.iloc[-1] > 0.6
    best = torch.load(run.dir / "best.pt", weights_only=True)["progress"]["best_acc"]
    assert best == run.metrics.val_clean_acc.max()


def test_eps_warmup_shows_in_the_eps_column(tiny: Path, tmp_path: Path) -> None:
    run = train(load_config(tiny, ["eps_warmup=2"]), tmp_path / "runs")
    assert run.metrics.eps.tolist() == pytest.approx([0.05, 0.1, 0.1])


def test_clipping_scales_the_gradient_down_and_reports_it_as_it_was() -> None:
    model = nn.Linear(3, 1, bias=False)
    model.weight.grad = torch.tensor([[3.0, 0.0, 4.0]])
    assert clip(model, None) == 5 and model.weight.grad.norm() == 5
    assert clip(model, 1.0) == 5
    torch.testing.assert_close(model.weight.grad, torch.tensor([[0.6, 0.0, 0.8]]))
    assert clip(model, 10.0) == pytest.approx(1.0) and model.weight.grad.norm() > 0.99


@pytest.mark.parametrize(
    ("keys", "kind"),
    [
        (Sgd(nesterov=True, momentum=0.8, weight_decay=0.1), torch.optim.SGD),
        (Adam(betas=[0.8, 0.9]), torch.optim.Adam),
        (AdamW(weight_decay=0.2), torch.optim.AdamW),
    ],
)
def test_optimizers_get_every_key(keys: Sgd | Adam | AdamW, kind: type) -> None:
    optimizer = build_optimizer(nn.Linear(2, 2), keys)
    assert type(optimizer) is kind
    for name, value in keys.model_dump(exclude={"name", "clip_norm"}).items():
        found = optimizer.defaults[name]
        assert (list(found) if isinstance(found, tuple) else found) == value


def test_every_image_is_seen_once_an_epoch_and_none_alone() -> None:
    for count, size in ((65, 32), (64, 32), (1, 32), (33, 32), (7, 1)):
        batches = batches_of(count, size, seed=0, epoch=1)
        assert sorted(torch.cat(list(batches)).tolist()) == list(range(count))
        if size > 1 and count > 1:
            assert min(len(batch) for batch in batches) > 1
    first, second = (torch.cat(list(batches_of(50, 8, 0, epoch))) for epoch in (1, 2))
    assert not torch.equal(first, second)


def test_a_parents_schedule_stays_in_epochs_whatever_the_batches(
    tiny: Path, tmp_path: Path
) -> None:
    parent = train(load_config(tiny, ["epochs=2", "schedule.milestones=[3]"]), tmp_path / "runs")
    config = load_config(tiny, ["epochs=5", "batch_size=8"])
    child = train(config, tmp_path / "runs", from_run=parent.dir)
    assert child.metrics.lr.tolist() == pytest.approx([0.05] * 2 + [0.05] * 3)
    own = load_config(tiny, ["epochs=5", "batch_size=8", "schedule.milestones=[3]"])
    child = train(own, tmp_path / "runs", from_run=parent.dir)
    assert child.metrics.lr.tolist() == pytest.approx([0.05] * 3 + [0.005] * 2)


def test_what_an_evaluation_finds_ends_no_training(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.out = nn.Linear(64, 10)\n"
        "    def forward(self, x):\n"
        "        logits = self.out(x.flatten(1))\n"
        "        return logits if self.training or len(x) != 40 else logits * float('inf')\n"
    )
    keys = ["model=import:odd:Net", "attack.model_mode=train"]
    runs = [train(load_config(tiny, [*keys, f"every={n}"]), tmp_path / "r") for n in (1, 3)]
    assert [run.status.epoch for run in runs] == [3, 3]
    assert runs[0].metrics.train_robust_loss.equals(runs[1].metrics.train_robust_loss)


def test_weights_that_the_last_step_broke_end_the_run(tiny: Path, tmp_path: Path) -> None:
    run = train(load_config(tiny, ["lr=1e30", "batch_size=180"]), tmp_path / "runs")
    status = run.status  # the loss of the only step was finite, the weights after it are not
    assert (status.stopped, status.bad_epoch, status.bad_batch) == ("nonfinite", 1, 1)


def test_recurrent_networks_are_not_mistaken_for_small_ones(monkeypatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS")
    chosen: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", chosen.append)
    for hidden in (16, 2048):
        shape = (1, 8, 8)
        suit_threads(build_model("lstm", in_shape=shape, num_classes=2, hidden=hidden), shape)
    assert chosen == [1]  # for the first alone
