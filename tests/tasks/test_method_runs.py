"""Whole runs with the objectives, averaged weights, eps by points, and runs that end themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from advtrain import load_config, train
from advtrain.learning.attacks.ball import Ball
from advtrain.learning.attacks.evaluating import EvaluatingAttack
from advtrain.learning.data.splits import load_data
from advtrain.learning.loop import Hooks, train_epoch
from advtrain.learning.measuring.score import evaluate
from advtrain.learning.models import build_model
from advtrain.learning.optimizer import averaged, build_optimizer
from advtrain.learning.session import Session
from advtrain.records import COLUMNS
from tests.helpers import kills
from tests.helpers import reference_methods as plain
from tests.helpers.command_line import Done
from tests.helpers.run_files import same_training
from tests.helpers.steps import built, config_of, splits
from tests.helpers.stopped_runs import NORMED, Stop

STUCK = ["epochs=14", "lr=10", "momentum=0", "schedule=constant"]
EMA = [name for name in COLUMNS if name.startswith("ema_")]


@pytest.mark.parametrize(
    ("objective", "keys"),
    [
        ("trades", ["ema=0.9"]),
        ("{name: trades, awp: 0.01, beta: 2}", ["start=zero", "label_smoothing=0.1"]),
        ("mart", ["ema=0.5", "eps_points=[[0.2, 0], [0.7, 1.5]]"]),
        ("{name: fgsm, start: noise, gradalign: 0.2}", ["ema=0.9"]),
        ("{name: fgsm, start: zero}", ["alpha_points=[[0, 0.5], [1, 2]]"]),
        ("{name: free, replays: 3}", []),  # six batches a pass of three epochs
        ("{name: free, replays: 4, awp: 0.01}", ["ema=0.9", "schedule=cyclic", "norm=l2"]),
        ("{name: pgd, awp: 0.02, awp_warmup: 1.5}", ["ema=0.99"]),
        ("{name: pgd, gradalign: 0.5, awp: 0.01}", ["model_mode=train", "restarts=2"]),
        ("{name: mixed, awp: 0.01, label_smoothing: 0.2}", ["optimizer=adam", "ema=0.9"]),
        ("{name: standard, label_smoothing: 0.2}", ["ema=0.9"]),
    ],
)
def test_a_run_stopped_twice_equals_one_never_stopped(
    config: Path, tmp_path: Path, objective: str, keys: list[str]
) -> None:
    loaded = load_config(config, ["epochs=4", *NORMED, f"objective={objective}", *keys])
    quiet = train(loaded, tmp_path / "quiet", device="cpu").dir
    for observer in (Stop(1), Stop(1, batch=1)):  # of free: in the middle of a pass
        with pytest.raises(KeyboardInterrupt):
            train(loaded, tmp_path / "runs", device="cpu", observer=observer)
    resumed = train(loaded, tmp_path / "runs", device="cpu")
    assert resumed.status.attempt == 3
    assert kills.differences(quiet, resumed.dir) == []
    assert ("ema" in kills.load(resumed.dir / "last.pt")) == any("ema" in key for key in keys)


def test_averaged_weights_are_the_sum_written_out() -> None:
    model, config = built(), config_of({"name": "pgd"}, training={"batch_size": 4, "epochs": 2})
    model.network.add_module("norm", nn.BatchNorm1d(3))
    average, optimizer = averaged(model, 0.8), build_optimizer(model, config.optimizer)
    trace = list[torch.Tensor]()
    means = list[torch.Tensor]()

    def note(*_: object) -> None:
        trace.append(plain.flat(model.parameters()))
        means.append(model.network.norm.running_mean.clone())

    optimizer.register_step_post_hook(note)
    session = Session(config, splits(), model, optimizer, average=average)
    for _ in range(2):
        train_epoch(session, Hooks())
    assert len(trace) == 8
    found = plain.flat(average.module.parameters())
    torch.testing.assert_close(found, plain.averaged(trace, 0.8))
    assert not torch.allclose(found, trace[-1], rtol=1e-3)
    torch.testing.assert_close(average.module.network.norm.running_mean, plain.averaged(means, 0.8))


def test_averaged_weights_have_columns_of_their_own_and_change_no_other(
    tiny: Path, tmp_path: Path
) -> None:
    plainly = train(load_config(tiny), tmp_path / "runs")
    run = train(load_config(tiny, ["ema=0.95"]), tmp_path / "runs")
    assert plainly.metrics[EMA].isna().all().all()
    assert run.metrics[EMA].notna().all().all()
    rest = [name for name in COLUMNS if name not in EMA]
    same_training(run.metrics[rest].reindex(columns=COLUMNS),
                  plainly.metrics[rest].reindex(columns=COLUMNS))  # fmt: skip
    state = torch.load(run.dir / "last.pt", weights_only=True)["ema"]
    model = build_model("mlp", in_shape=(1, 8, 8), num_classes=10, width=16, depth=1)
    model.load_state_dict(
        {k.removeprefix("module."): v for k, v in state.items() if k != "n_averaged"}
    )
    assert state["n_averaged"] == 18  # 6 batches, 3 epochs
    data = load_data(load_config(tiny).dataset, torch.device("cpu"))
    final = pd.read_csv(run.dir / "final.csv").set_index("split")
    for split, images in (("val", data.val), ("test", data.test)):
        score = evaluate(model, images, EvaluatingAttack(Ball("linf", 0.1), 2))
        for name in ("clean_loss", "clean_acc", "robust_loss", "robust_acc"):
            averaged_figure = final.loc[f"ema_{split}", name]
            assert averaged_figure == pytest.approx(getattr(score, name))
            assert averaged_figure != final.loc[split, name] or "acc" in name


def test_a_child_begins_its_average_where_the_parent_had_none(tiny: Path, tmp_path: Path) -> None:
    parent = train(load_config(tiny), tmp_path / "runs")
    child = train(load_config(tiny, ["ema=0.95", "epochs=4"]), tmp_path / "r", from_run=parent.dir)
    assert torch.load(child.dir / "last.pt", weights_only=True)["ema"]["n_averaged"] == 6
    assert child.metrics[EMA].notna().all(axis=1).tolist() == [False, False, False, True]


@pytest.mark.parametrize("objective", ["pgd", "trades", "fgsm", "mixed"])
def test_smoothing_is_descended_and_never_reported(
    tiny: Path, tmp_path: Path, objective: str
) -> None:
    """With a vanishing rate nothing but the smoothing itself could tell the two runs apart."""
    keys = [f"objective={objective}", "lr=1e-12", "epochs=1"]
    losses = [
        train(load_config(tiny, [*keys, f"label_smoothing={s}"]), tmp_path / "r").metrics
        for s in (0, 0.5)
    ]
    assert losses[0].grad_norm[0] != pytest.approx(losses[1].grad_norm[0], rel=0.01)
    for name in ("train_robust_loss", "train_clean_loss", "test_robust_loss"):
        assert losses[0][name][0] == pytest.approx(losses[1][name][0], rel=1e-6)


def test_eps_follows_its_points_and_shows_in_its_column(tiny: Path, tmp_path: Path) -> None:
    points = "eps_points=[[0.25, 0.2], [0.75, 1]]"
    run = train(load_config(tiny, ["epochs=4", points]), tmp_path / "runs")
    assert run.metrics.eps.tolist() == pytest.approx([0.02, 0.06, 0.1, 0.1])
    ahead = train(load_config(tiny, ["epochs=4", points, "horizon=8"]), tmp_path / "runs")
    assert ahead.metrics.eps.tolist() == pytest.approx([0.02, 0.02, 0.04, 0.06])


def test_alpha_points_scale_the_steps_and_not_the_ball(tiny: Path, tmp_path: Path) -> None:
    keys = ["epochs=2", "steps=1"]
    halved = train(load_config(tiny, [*keys, "alpha=eps", "alpha_points=[[0, 0.5]]"]), tmp_path)
    small = train(load_config(tiny, [*keys, "alpha=eps/2"]), tmp_path)
    assert halved.metrics.eps.tolist() == small.metrics.eps.tolist() == [0.1, 0.1]
    for name in ("train_robust_loss", "weight_norm", "test_robust_loss"):
        assert halved.metrics[name].tolist() == pytest.approx(small.metrics[name].tolist())
    whole = train(load_config(tiny, [*keys, "alpha=eps"]), tmp_path).metrics
    assert whole.train_robust_loss[0] > 1.001 * small.metrics.train_robust_loss[0]


def test_without_eps_the_attack_trains_on_the_images(tiny: Path, tmp_path: Path) -> None:
    keys = ["epochs=2", "eps_points=[[0, 0]]"]
    run = train(load_config(tiny, keys), tmp_path / "runs")
    clean = train(load_config(tiny, ["epochs=2", "objective=standard"]), tmp_path / "runs")
    assert run.metrics.eps.tolist() == [0, 0]
    for name in ("test_clean_loss", "weight_norm"):
        assert run.metrics[name].tolist() == pytest.approx(clean.metrics[name].tolist())


@pytest.mark.parametrize("every", [1, 3])
def test_a_run_stuck_at_chance_ends_if_so_asked(
    advtrain: Callable[..., Done], tiny: Path, tmp_path: Path, every: int
) -> None:
    keys = [*STUCK, f"every={every}"]
    done = advtrain("train", tiny, *keys, "stop_on=[diverged, stuck]")
    assert done.code == 0 and "training.stop_on has stuck" in done.out
    (run,) = tmp_path.glob("runs/tiny/*")
    status = json.loads((run / "status.json").read_text())
    assert (status["state"], status["stopped"], status["epoch"]) == ("finished", "stuck", 8)
    table = train(load_config(tiny, [*keys, "stop_on=[diverged, stuck]"]), tmp_path / "runs")
    assert table.dir == run and len(table.metrics) == 8  # resuming does nothing
    last = table.metrics.iloc[-1]
    assert last.test_clean_acc * 40 == pytest.approx(round(last.test_clean_acc * 40))
    assert pd.read_csv(run / "final.csv").images.tolist() == [20, 360]
    assert json.loads((run / "verdict.json").read_text())["axes"]["train"]["state"] == "stuck"
    if every == 1:
        whole = train(load_config(tiny, keys), tmp_path / "runs")  # off by default
        assert (len(whole.metrics), whole.status.stopped) == (14, "")
        same_training(table.metrics[:7], whole.metrics[:7])


def test_a_run_stopped_by_its_verdict_and_interrupted_there_only_finishes(
    tiny: Path, tmp_path: Path
) -> None:
    keys = [*STUCK, "stop_on=[stuck]"]
    quiet = train(load_config(tiny, keys), tmp_path / "quiet").dir
    for after in (7, 8):
        with pytest.raises(KeyboardInterrupt):
            train(load_config(tiny, keys), tmp_path / "runs", observer=Stop(after))
    run = train(load_config(tiny, keys), tmp_path / "runs")
    assert (run.status.stopped, run.status.attempt) == ("stuck", 3)
    assert kills.differences(quiet, run.dir) == []


def test_in_the_last_epoch_there_is_nothing_left_to_stop(tiny: Path, tmp_path: Path) -> None:
    run = train(load_config(tiny, [*STUCK, "epochs=8", "stop_on=[stuck]"]), tmp_path / "runs")
    assert (run.status.epoch, run.status.stopped) == (8, "")


def test_more_replays_than_batches_is_said_before_anything_is_written(
    advtrain: Callable[..., Done], tiny: Path, tmp_path: Path
) -> None:
    done = advtrain("train", tiny, "objective={name: free, replays: 7}")
    assert done.code == 2
    assert done.err.splitlines() == [
        "argument 'objective={name: free, replays: 7}': objective.replays: 7, but 180 training "
        "images make only 6 batches of 32; expected at most as many"
    ]
    assert not [*(tmp_path / "runs").rglob("*")]
    assert advtrain("train", tiny, "objective={name: free, replays: 6}", "epochs=1").code == 0
    metrics = next(tmp_path.glob("runs/tiny/*/metrics.csv")).read_text()
    assert metrics.splitlines()[1].startswith("1,6,")  # one batch, six times


@pytest.mark.parametrize("objective", ["fgsm", "{name: free, replays: 2}"])
def test_one_step_is_no_attempt_at_the_inner_maximum(
    tiny: Path, tmp_path: Path, objective: str
) -> None:
    keys = [f"objective={objective}", "lr=0.1", "epochs=8", "steps=4", "evaluation.steps=4"]
    run = train(load_config(tiny, keys), tmp_path / "runs")
    assert run.verdict["axes"]["inner"]["state"] == "by_design"
    assert run.metrics.probe_robust_loss_2x.isna().all()
    probed = ["probe_clean_loss", "probe_robust_loss", "probe_robust_acc", "probe_pgd_acc"]
    assert run.metrics[[*probed, "fosc_train", "grad_alignment"]].notna().all().all()
