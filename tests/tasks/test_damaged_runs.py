"""`advtrain diagnose` and `status` on runs that are unfinished, damaged or copied."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from advtrain import load_config, train
from advtrain.tasks.diagnose import diagnose_run
from tests.helpers.command_line import Done


@pytest.fixture
def runs(tiny: Path, tmp_path: Path) -> Path:
    """A folder with one run of 9 epochs."""
    train(load_config(tiny, ["epochs=9"]), tmp_path / "runs")
    return tmp_path / "runs"


def copy(runs: Path, name: str) -> Path:
    """A copy of the run beside it."""
    one = next(path.parent for path in runs.rglob("status.json"))
    return Path(shutil.copytree(one, one.parent / name))


def change(file: Path, **entries: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | entries))


def test_a_folder_is_judged_though_some_of_it_cannot_be(advtrain, runs: Path) -> None:
    queued, damaged, unreadable = (copy(runs, name) for name in ("queued", "damaged", "unreadable"))
    (queued / "metrics.csv").unlink()
    change(queued / "status.json", state="failed", epoch=0, error="OutOfMemoryError: no memory")
    (damaged / "config.yaml").write_text("model: [")
    (unreadable / "status.json").write_text("{")
    done: Done = advtrain("diagnose", "runs", "--json")
    assert done.code == 0, done.err
    found = {Path(r["path"]).name: r for r in json.loads(done.out)["results"]}
    assert len(found) == 4
    assert found["queued"]["headline"] == (
        "cannot tell: no epochs yet (failed: OutOfMemoryError: no memory)"
    )
    assert found["unreadable"]["headline"] == "cannot tell: its status.json cannot be read"
    assert "not valid YAML" in found["damaged"]["headline"]
    for name in ("queued", "damaged", "unreadable"):
        one = found[name]
        assert (one["converged"], one["cause"], one["suggestion"]) == (None, "unjudged", None)
        assert {axis["state"] for axis in one["axes"].values()} == {"not_measured"}
        assert advtrain("diagnose", f"runs/tiny/{name}").code == 2, "it was asked for by name"
    assert advtrain("diagnose", "runs", "--check").code == 3
    assert "cannot tell: no epochs yet" in advtrain("diagnose", "runs").out


def test_a_copy_needs_neither_weights_nor_modules(advtrain, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "def Net(in_shape, num_classes):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))\n"
    )
    (tmp_path / "mine.yaml").write_text(
        "model: 'import:mine:Net'\ndataset: {name: digits, train_size: 200}\n"
        "training: {epochs: 9}\nevaluation: {steps: 10, size: 40}\n"
    )
    first = train(load_config(tmp_path / "mine.yaml"), tmp_path / "runs")
    weights = f"weights={first.dir}/last.pt"
    for seed in (1, 2):
        train(load_config(tmp_path / "mine.yaml", [weights, f"seed={seed}"]), tmp_path / "runs")
    here = json.loads(advtrain("diagnose", "runs", "--json").out)
    assert [cell["seeds"] for cell in here["cells"]] == [2]
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "runs").rename(elsewhere)
    (tmp_path / "mine.py").unlink()
    there = json.loads(advtrain("diagnose", "elsewhere", "--json").out)
    assert [r["headline"] for r in there["results"]] == [r["headline"] for r in here["results"]]
    assert [cell["seeds"] for cell in there["cells"]] == [2]


@pytest.mark.parametrize(
    "entries",
    [
        {"labels": "all"},
        {"labels": {"classes": "10", "entropy": "x", "majority": None, "test_images": "360"}},
        {"labels": {"classes": 10, "entropy": float("inf"), "majority": -1, "test_images": 1e400}},
        {"parent": {"epoch": "2", "whole": "all", "changed": 3}},
        {"parent": 7},
    ],
)
def test_a_damaged_provenance_costs_no_verdict(runs: Path, entries: dict) -> None:
    run = copy(runs, "damaged")
    change(run / "provenance.json", **entries)
    assert diagnose_run(run).verdict.headline


def test_files_nested_deeply_are_damaged_files(advtrain, runs: Path) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    run = copy(runs, "deep")
    for name in ("provenance.json", "verdict.json"):
        (run / name).write_text(deep)
    assert diagnose_run(run).verdict.headline
    (run / "status.json").write_text(deep)
    done: Done = advtrain("status")
    assert done.code == 0 and "unreadable" in done.out
    assert "status.json cannot be read" in advtrain("diagnose", run).err


@pytest.mark.parametrize("entries", [{"bad_epoch": "soon"}, {"epoch": None}, {"state": 3}])
def test_a_status_of_wrong_types_is_a_damaged_status(advtrain, runs: Path, entries: dict) -> None:
    run = copy(runs, "wrong")
    change(run / "status.json", **entries)
    done: Done = advtrain("diagnose", run)
    assert done.code == 2 and "its status.json cannot be read" in done.err


def test_paths_that_cannot_be_are_one_clear_line(advtrain, tmp_path: Path) -> None:
    for path in ("x" * 300, f"{'y' * 300}/runs"):
        done: Done = advtrain("diagnose", path)
        assert done.code == 2 and len(done.err.splitlines()) == 1, path
