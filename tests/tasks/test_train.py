"""`advtrain train`: a config goes in, a run's directory comes out."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from advtrain import load_config, train
from advtrain.records import COLUMNS
from tests.helpers.command_line import Done
from tests.helpers.run_files import same_training

RESULT = {"run_dir", "state", "epochs", "last", "final", "verdict"}


def test_a_run_leaves_every_file_the_design_names(advtrain, tiny: Path, tmp_path: Path) -> None:
    done: Done = advtrain("train", tiny)
    assert done.code == 0, done.err
    (run,) = (tmp_path / "runs" / "tiny").iterdir()
    files = {p.name for p in run.iterdir() if not p.name.startswith(".")}
    assert files == {
        "config.yaml", "status.json", "metrics.csv", "provenance.json",
        "last.pt", "best.pt", "log.txt", "verdict.json", "examples.npz", "final.csv",
    }  # fmt: skip
    metrics = pd.read_csv(run / "metrics.csv")
    assert tuple(metrics.columns) == COLUMNS
    assert list(metrics.epoch) == [1, 2, 3]
    # None of the images may be unsure; nothing is averaged.
    empty = {n for n in metrics.columns[metrics.isna().any()] if not n.startswith("ema_")}
    assert empty <= {"probe_vanished"}
    assert str(run.relative_to(tmp_path)) in done.out
    assert "epoch 3/3" in done.err and "\x1b" not in done.err


def test_json_is_one_object_on_stdout(advtrain, tiny: Path) -> None:
    done: Done = advtrain("train", tiny, "--json", "--quiet")
    result = json.loads(done.out)
    assert set(result) == RESULT
    assert (result["state"], result["epochs"], result["last"]["epoch"]) == ("finished", 3, 3)
    assert set(result["last"]) == set(COLUMNS)
    assert done.err == ""


def test_a_finished_run_is_left_alone(advtrain, tiny: Path, tmp_path: Path) -> None:
    advtrain("train", tiny)
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.*") if p.is_file()}
    done: Done = advtrain("train", tiny)
    assert done.code == 0 and "finished after 3 of 3 epochs" in done.out
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.*") if p.is_file()} == before


def test_python_gives_the_same_as_the_command_line(advtrain, tiny: Path, tmp_path: Path) -> None:
    result = json.loads(advtrain("train", tiny, "--json").out)
    run = train(load_config(tiny), runs_dir=tmp_path / "other", device="cpu")
    assert run.dir.name == Path(result["run_dir"]).name
    assert run.verdict and run.verdict["path"] == str(run.dir)
    same_training(run.metrics, pd.read_csv(tmp_path / result["run_dir"] / "metrics.csv"))


def test_evaluating_less_often_changes_no_training_column(tiny: Path, tmp_path: Path) -> None:
    often = train(load_config(tiny, ["epochs=5"]), tmp_path / "runs")
    seldom = train(load_config(tiny, ["epochs=5", "every=5", "size=7"]), tmp_path / "runs")
    same_training(often.metrics, seldom.metrics, "train_")
    for column in ("step", "lr", "eps", "grad_norm", "weight_norm"):
        assert often.metrics[column].tolist() == seldom.metrics[column].tolist()
    assert seldom.metrics.test_robust_acc.notna().tolist() == [False] * 4 + [True]
    assert (often.dir / "final.csv").read_text() == (seldom.dir / "final.csv").read_text()


def test_the_run_repeats_from_its_own_config(advtrain, tiny: Path, tmp_path: Path) -> None:
    first = json.loads(advtrain("train", tiny, "--json").out)["run_dir"]
    again = json.loads(
        advtrain("train", f"{first}/config.yaml", "--runs-dir", "again", "--json").out
    )["run_dir"]
    assert Path(again).name == Path(first).name
    same_training(pd.read_csv(f"{first}/metrics.csv"), pd.read_csv(f"{again}/metrics.csv"))


def test_a_run_that_diverges_is_a_finding(advtrain, tiny: Path, tmp_path: Path) -> None:
    done: Done = advtrain("train", tiny, "lr=1e30", "--json")
    result = json.loads(done.out)
    assert done.code == 0 and result["state"] == "finished"
    status = json.loads((Path(result["run_dir"]) / "status.json").read_text())
    assert status["stopped"] == "nonfinite"
    assert (status["bad_epoch"], status["bad_batch"]) == (1, 2)
    assert result["last"]["train_robust_loss"] is None
    assert "not finite in epoch 1, batch 2" in done.err
    shown = advtrain("train", tiny, "lr=1e30").out
    assert "in epoch 1 of 3, batch 2: a loss or weight was not finite" in shown


def test_a_run_that_stops_early_is_measured_on_all_images(advtrain, tiny: Path) -> None:
    keys = ["epochs=50", "early_stopping=2", "lr=1e-9", "size=7"]
    result = json.loads(advtrain("train", tiny, *keys, "--json").out)
    status = json.loads((Path(result["run_dir"]) / "status.json").read_text())
    assert status["stopped"] == "early_stopping" and result["epochs"] < 50
    assert result["final"]["test"]["images"] == 360
    hits = result["last"]["test_clean_acc"] * 7
    assert hits == pytest.approx(round(hits)), "the last row is on 7 images, as the others are"


def test_without_validation_there_is_no_best(advtrain, tiny: Path) -> None:
    result = json.loads(advtrain("train", tiny, "val_size=0", "--json").out)
    run = Path(result["run_dir"])
    assert not (run / "best.pt").exists()
    assert result["last"]["val_robust_acc"] is None


def test_best_is_the_epoch_of_the_best_validation(tiny: Path, tmp_path: Path) -> None:
    run = train(load_config(tiny, ["epochs=8", "lr=0.2"]), tmp_path / "runs")
    best = torch.load(run.dir / "best.pt", weights_only=True)["progress"]["epoch"]
    order = run.metrics.sort_values(
        ["val_robust_acc", "val_robust_loss"], ascending=[False, True], kind="stable"
    )
    assert best == order.epoch.iloc[0]


def test_kept_checkpoints_and_the_curve_over_eps_are_written(advtrain, tiny: Path) -> None:
    result = json.loads(
        advtrain("train", tiny, "keep_every=2", "evaluation.eps=[0, 0.1, 0.2]", "--json").out
    )
    run = Path(result["run_dir"])
    assert [p.name for p in sorted(run.glob("epoch*.pt"))] == ["epoch00002.pt"]
    curve = pd.read_csv(run / "curve_eps.csv")
    assert curve.robust_acc.is_monotonic_decreasing
    assert curve.robust_acc[0] == result["final"]["test"]["clean_acc"]
    assert curve.robust_acc[1] == result["final"]["test"]["robust_acc"]
    assert (curve.images == 360).all()


def test_a_failing_model_is_one_line_and_exit_1(advtrain, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    calls = 0\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.f = nn.Linear(64, 10)\n"
        "    def forward(self, x):\n"
        "        Net.calls += 1\n"
        "        if Net.calls > 30: raise RuntimeError('the cat ate it')\n"
        "        return self.f(x.flatten(1))\n"
    )
    done: Done = advtrain("train", tiny, "model=import:broken:Net", "--json")
    assert done.code == 1
    assert "RuntimeError: the cat ate it" in done.err and "Traceback" not in done.err
    (run,) = (tmp_path / "runs" / "tiny").iterdir()
    assert json.loads((run / "status.json").read_text())["state"] == "failed"
    assert "Traceback" in (run / "log.txt").read_text()
    shown = json.loads(done.out)
    assert shown["state"] == "failed" and set(shown) == RESULT
