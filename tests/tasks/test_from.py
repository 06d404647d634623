"""`--from RUN`: a run that goes on from another's end, in a directory of its own."""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from advtrain import load_config, train
from advtrain.diagnosis.segments import phases
from advtrain.tasks.diagnose import diagnose_run
from tests.helpers import kills
from tests.helpers.command_line import Done
from tests.helpers.poisoned import POISONED, Poison
from tests.helpers.run_files import contents, state
from tests.helpers.stopped_runs import NORMED, Stop


def lines(run: Path) -> list[str]:
    return (run / "metrics.csv").read_text().splitlines()


def test_a_child_keeps_the_rows_and_the_schedule(
    advtrain: Callable[..., Done], config: Path, tmp_path: Path
) -> None:
    parent = train(load_config(config, ["epochs=4"]), tmp_path / "runs", device="cpu").dir
    before = contents(parent)
    result = json.loads(advtrain("train", config, "epochs=8", "--from", parent, "--json").out)
    child = tmp_path / result["run_dir"]
    assert contents(parent) == before
    assert lines(child)[:5] == lines(parent) and result["epochs"] == 8
    metrics = pd.read_csv(child / "metrics.csv")
    assert list(metrics.epoch) == list(range(1, 9))
    assert metrics.lr.tolist() == pytest.approx([0.05, 0.05, 0.005] + 5 * [0.0005])
    provenance = json.loads((child / "provenance.json").read_text())
    assert provenance["parent"] == {"run": str(parent), "epoch": 4, "changed": [], "whole": []}
    assert (child / "best.pt").exists()


def test_a_child_may_have_a_schedule_of_its_own(config: Path, tmp_path: Path) -> None:
    parent = train(load_config(config, ["epochs=4"]), tmp_path / "runs", device="cpu").dir
    loaded = load_config(config, ["epochs=8", "milestones=[0.5]"])
    child = train(loaded, tmp_path / "runs", device="cpu", from_run=parent)
    assert child.metrics.lr[4:].tolist() == pytest.approx(4 * [0.005])


def test_a_child_equals_one_longer_run(config: Path, tmp_path: Path) -> None:
    keys = [*NORMED, "optimizer=adam", "schedule={name: cosine, horizon: 6}", "size=1000"]
    longer = train(load_config(config, ["epochs=6", *keys]), tmp_path / "longer", device="cpu")
    parent = train(load_config(config, ["epochs=3", *keys]), tmp_path / "parent", device="cpu")
    loaded = load_config(config, ["epochs=6", *keys])
    with pytest.raises(KeyboardInterrupt):
        train(loaded, tmp_path / "child", device="cpu", from_run=parent.dir, observer=Stop(4))
    child = train(loaded, tmp_path / "child", device="cpu", from_run=parent.dir)
    found = kills.differences(longer.dir, child.dir)
    own = ("progress.carried", "examples.npz")  # a child has its own first epoch
    assert [d for d in found if not any(name in d for name in own)] == []
    assert child.dir.name != longer.dir.name


def test_a_child_stopped_in_its_first_epoch_starts_it_again(config: Path, tmp_path: Path) -> None:
    parent = train(load_config(config), tmp_path / "runs", device="cpu").dir
    loaded = load_config(config, ["epochs=5"])
    quiet = train(loaded, tmp_path / "quiet", device="cpu", from_run=parent).dir
    with pytest.raises(KeyboardInterrupt):
        train(loaded, tmp_path / "runs", device="cpu", from_run=parent, observer=Stop(3, batch=2))
    child = train(loaded, tmp_path / "runs", device="cpu", from_run=parent).dir
    assert kills.differences(quiet, child) == []


def test_a_child_takes_the_optimizer_of_the_command(config: Path, tmp_path: Path) -> None:
    parent = train(load_config(config), tmp_path / "runs", device="cpu").dir
    keys = ["epochs=4", "momentum=0.5", "weight_decay=0"]
    child = train(load_config(config, keys), tmp_path / "runs", device="cpu", from_run=parent).dir
    (group,) = kills.load(child / "last.pt")["optimizer"]["param_groups"]
    assert (group["momentum"], group["weight_decay"]) == (0.5, 0)
    watch = Stop(99)
    adam = load_config(config, ["epochs=4", "optimizer=adam"])
    train(adam, tmp_path / "runs", device="cpu", from_run=parent, observer=watch)
    (warning,) = watch.warnings
    assert "the optimizer starts afresh" in warning


def test_a_child_of_a_run_that_ended_as_not_finite_repeats_that_epoch(
    config: Path, tmp_path: Path
) -> None:
    (tmp_path / "poisoned.py").write_text(POISONED)
    poison, keys = tmp_path / "poison", ["model='import:poisoned:Net'"]
    loaded = load_config(config, [*keys, "epochs=4"])
    parent = train(loaded, tmp_path / "runs", device="cpu", observer=Poison(poison))
    assert (parent.status.stopped, parent.status.bad_epoch) == ("nonfinite", 3)
    poison.unlink()
    loaded = load_config(config, [*keys, "epochs=3"])
    child = train(loaded, tmp_path / "runs", device="cpu", from_run=parent.dir)
    assert lines(child.dir)[:3] == lines(parent.dir)[:3]
    assert child.metrics.train_robust_loss.notna().all() and child.status.epoch == 3
    provenance = json.loads((child.dir / "provenance.json").read_text())
    kept = {"run": str(parent.dir), "epoch": 2, "changed": [], "whole": []}
    assert provenance["parent"] == kept


def test_from_refuses_what_cannot_be_gone_on_from(
    advtrain: Callable[..., Done], config: Path, tmp_path: Path
) -> None:
    parent = train(load_config(config), tmp_path / "runs", device="cpu").dir
    before = contents(parent)

    def refused(*keys: str) -> str:
        done: Done = advtrain("train", config, *keys, "--from", parent)
        assert done.code == 2 and len(done.err.splitlines()) == 1
        assert len(list(tmp_path.glob("runs/tiny/*"))) == 1
        return done.err

    assert "already has 3" in refused("epochs=3", "lr=0.1")
    for changes, expected in (
        ({"state": "running", "heartbeat": time.time()}, "still being trained"),
        ({"epoch": 2}, "let that run go on first"),
    ):
        (parent / "status.json").write_text(json.dumps(state(parent) | changes))
        assert expected in refused("epochs=4")
        (parent / "status.json").write_bytes(before["status.json"])
    (parent / "last.pt").unlink()
    assert "nothing to go on from" in refused("epochs=4")
    shutil.rmtree(parent)
    parent.mkdir()
    assert "not a run's directory" in refused("epochs=4")


def test_a_childs_config_names_the_command_that_repeats_it(
    advtrain: Callable[..., Done], config: Path, tmp_path: Path
) -> None:
    parent = train(load_config(config), tmp_path / "runs", device="cpu").dir
    keys = ["epochs=4", "schedule=constant", "schedule.warmup=1", "lr=0.1"]
    first = json.loads(advtrain("train", config, *keys, "--from", parent, "--json").out)["run_dir"]
    header = (Path(first) / "config.yaml").read_text().splitlines()[1]
    _, *arguments = shlex.split(header.partition("Repeat elsewhere with: ")[2])
    again = json.loads(advtrain(*arguments, "--json").out)["run_dir"]
    assert Path(again).name.rpartition("-")[2] == Path(first).name.rpartition("-")[2]
    assert kills.differences(Path(first), Path(again)) == []


def test_a_best_epoch_of_another_attack_is_not_carried_on(tiny: Path, tmp_path: Path) -> None:
    """Clean validation accuracy beats any robust one: kept, it would be best for ever."""
    parent = train(load_config(tiny, ["objective=standard", "lr=0.1"]), tmp_path / "runs")
    config = load_config(tiny, ["epochs=7", "early_stopping=3"])
    child = train(config, tmp_path / "runs", from_run=parent.dir)
    best = torch.load(child.dir / "best.pt", weights_only=True)["progress"]
    assert best["best_epoch"] > 3 and best["epoch"] == best["best_epoch"]
    assert child.status.epoch >= 6  # patience counts from the child's own first epoch


def test_what_changed_and_which_rows_are_of_all_images_is_remembered(
    config: Path, tmp_path: Path
) -> None:
    runs, last = tmp_path / "runs", None
    for epochs, keys in ((2, []), (4, ["eps=0.2"]), (6, ["eps=0.2", "objective=standard"])):
        loaded = load_config(config, [f"epochs={epochs}", *keys])
        last = train(loaded, runs, device="cpu", from_run=last.dir if last else None)
    assert last is not None
    parent = json.loads((last.dir / "provenance.json").read_text())["parent"]
    assert (parent["changed"], parent["whole"]) == (["objective"], [])
    table = diagnose_run(last.dir).table
    assert (table.carried, table.changed, table.parent) == (4, ("objective",), parent["run"])
    assert table.whole == ()
    assert phases(table).starts[-2:] == (2, 4), "another eps and another objective"
