"""A network's source is edited: no command shows or mixes what two different codes gave."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from importlib.util import spec_from_loader
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from advtrain import load_config, train
from advtrain.errors import AdvtrainError
from advtrain.learning.distributed.group import Group
from advtrain.process.observer import Observer
from advtrain.tasks.checksums import checksum_of
from advtrain.tasks.prepare import Assignment
from advtrain.tasks.train import _follow
from tests.helpers.command_line import Done
from tests.helpers.own_network import change, forget_code, refused, write_own
from tests.helpers.run_files import contents
from tests.helpers.stopped_runs import Stop

Command = Callable[..., Done]


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return write_own(tmp_path)


@pytest.fixture
def wider(tmp_path: Path) -> Callable[[], None]:
    """Edits the network."""
    return lambda: change(tmp_path / "mynet.py", "WIDTH = 8", "WIDTH = 16")


def finished(own: Path, *keys: str) -> Path:
    return train(load_config(own, keys), own.parent / "runs", device="cpu").dir


def test_a_finished_run_is_not_shown_as_the_result_of_other_code(
    advtrain: Command, own: Path, wider: Callable[[], None]
) -> None:
    run = finished(own)
    before = contents(run)
    assert advtrain("train", own).code == 0
    wider()
    refused(advtrain("train", own), "mynet.py has changed since this run began", "name=...")
    refused(advtrain("train", own, "--dry-run"), "mynet.py has changed since this run began")
    assert contents(run) == before
    done = advtrain("train", own, "name=wide", "--json")
    assert done.code == 0 and json.loads(done.out)["run_dir"].startswith("runs/wide/")
    change(own.parent / "mynet.py", "WIDTH = 16", "WIDTH = 8")
    assert advtrain("train", own).code == 0


def test_a_module_that_the_network_imports_counts_as_well(advtrain: Command, own: Path) -> None:
    finished(own)
    change(own.parent / "blocks.py", "ReLU", "Sigmoid")
    refused(advtrain("train", own), "blocks.py has changed")
    (own.parent / "blocks.py").unlink()
    refused(advtrain("train", own), "blocks.py was there when this run began and is gone")


def test_comments_may_be_added_to_the_code_of_a_run(advtrain: Command, own: Path) -> None:
    finished(own)
    change(own.parent / "mynet.py", "WIDTH = 8", '"""Mine."""\n\nWIDTH = 8  # units')
    assert advtrain("train", own).code == 0


def test_an_interrupted_run_does_not_go_on_under_other_code(advtrain: Command, own: Path) -> None:
    for stop in (Stop(0, batch=2), Stop(1)):  # within the first epoch, and after it
        with pytest.raises(KeyboardInterrupt):
            train(load_config(own), own.parent / "runs", device="cpu", observer=stop)
        change(own.parent / "blocks.py", "ReLU", "Sigmoid")  # the weights would fit
        refused(advtrain("train", own), "blocks.py has changed since this run began")
        change(own.parent / "blocks.py", "Sigmoid", "ReLU")
    assert advtrain("train", own).code == 0


def test_a_run_that_failed_before_it_had_any_weights_takes_the_mended_code(
    advtrain: Command, own: Path
) -> None:
    change(own.parent / "blocks.py", "nn.ReLU", "lambda: Odd()")
    with (own.parent / "blocks.py").open("a") as file:
        file.write(
            "class Odd(nn.Module):\n    def forward(self, x):\n        assert len(x) != 53\n"
            "        return x\n"
        )
    assert advtrain("train", own, "batch_size=53").code == 1
    change(own.parent / "blocks.py", "assert len(x) != 53", "pass")
    assert advtrain("train", own, "batch_size=53").code == 0
    change(own.parent / "blocks.py", "pass", "x = x * 2")
    refused(advtrain("train", own, "batch_size=53"), "blocks.py has changed")


def test_a_run_does_not_go_on_from_one_of_other_code(
    advtrain: Command, own: Path, wider: Callable[[], None]
) -> None:
    parent = finished(own)
    arguments = ["train", own, "epochs=3", "--from", parent]
    change(own.parent / "blocks.py", "ReLU", "Sigmoid")
    refused(advtrain(*arguments), f"argument '--from {parent}': blocks.py has changed",
            f"model.weights={parent}/last.pt")  # fmt: skip
    weights = [f"model.weights={parent}/last.pt", "name=sigmoid"]
    assert advtrain("train", own, "epochs=3", *weights).code == 0
    change(own.parent / "blocks.py", "Sigmoid", "ReLU")
    assert advtrain(*arguments).code == 0
    wider()
    refused(advtrain(*arguments), "mynet.py has changed since this run began")


def test_another_seed_needs_the_same_code(
    advtrain: Command, own: Path, wider: Callable[[], None]
) -> None:
    run = finished(own)
    wider()
    refused(advtrain("train", own, "seed=1"), run.name, "mynet.py has changed", "another seed")
    assert advtrain("train", own, "eps=0.2").code == 0, "another experiment"


def test_weights_are_not_evaluated_in_another_network(
    advtrain: Command, own: Path, tmp_path: Path
) -> None:
    run = finished(own)
    change(own.parent / "blocks.py", "ReLU", "Sigmoid")
    done = advtrain("evaluate", run, "--steps", 1, "--restarts", 1)
    refused(done, str(run), "blocks.py has changed since this run began")
    assert advtrain("diagnose", run).code == 0, "which only shows what was"
    change(own.parent / "blocks.py", "Sigmoid", "ReLU")
    assert advtrain("evaluate", run, "--steps", 1, "--restarts", 1).code == 0


def test_a_config_elsewhere_has_to_have_the_same_network_beside_it(
    advtrain: Command, own: Path, tmp_path: Path
) -> None:
    finished(own)
    moved = write_own(tmp_path / "moved")
    (tmp_path / "mynet.py").unlink()
    (tmp_path / "blocks.py").unlink()
    assert advtrain("train", moved).code == 0
    change(moved.with_name("mynet.py"), "WIDTH = 8", "WIDTH = 16")
    refused(advtrain("train", moved), "moved/mynet.py differs from mynet.py, with which")


def test_a_run_of_an_older_version_warns_and_then_notes_its_code(
    advtrain: Command, own: Path, wider: Callable[[], None]
) -> None:
    run = finished(own)
    forget_code(run)
    for arguments in (["train", own], ["train", own, "seed=1"], ["evaluate", run, "--steps", 1]):
        done = advtrain(*arguments)
        warnings = [line for line in done.err.splitlines() if "warning" in line]
        assert done.code == 0 and len(warnings) == 1
        assert "whether mynet has changed since cannot be told" in warnings[0]
    assert "cannot be told" in advtrain("train", own, "--dry-run").out
    with pytest.raises(KeyboardInterrupt):
        train(load_config(own, ["lr=0.1"]), "runs", device="cpu", observer=Stop(1))
    (stopped,) = Path("runs/own").glob("*lr0.1*")
    forget_code(stopped)
    done = advtrain("train", own, "lr=0.1")
    assert done.code == 0 and done.err.count("cannot be told") == 1
    assert "cannot be told" not in advtrain("train", own, "lr=0.1").err
    wider()
    refused(advtrain("train", own, "lr=0.1"), "mynet.py has changed")


class Hook:
    """Makes the network out of nothing, as import hooks may."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> object:
        return spec_from_loader(name, self) if name == "mynet" else None

    def create_module(self, spec: object) -> None:
        return None

    def exec_module(self, module: Any) -> None:
        module.Net = lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def test_a_module_without_a_source_is_said_not_to_be_checked(
    advtrain: Command, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own.parent / "mynet.py").unlink()
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Hook()])
    done = advtrain("train", own)
    assert done.code == 0 and "mynet: its source cannot be read" in done.err
    assert advtrain("train", own).code == 0
    del sys.modules["mynet"]


@pytest.mark.parametrize("sources", [None, 3, {"model.name": 3}, {"model.name": {"mynet": [1]}}])
def test_a_damaged_note_of_the_code_counts_as_none(
    advtrain: Command, own: Path, sources: object
) -> None:
    file = finished(own) / "provenance.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"sources": sources}))
    done = advtrain("train", own)
    assert done.code == 0 and "cannot be told" in done.err


class Editor(Observer):
    """Someone edits the network while it is trained."""

    def __init__(self, edit: Callable[[], None]) -> None:
        self.edit = edit

    def started(self, *_: object) -> None:
        self.edit()


def test_a_run_notes_the_code_that_it_began_with(
    advtrain: Command, own: Path, wider: Callable[[], None]
) -> None:
    train(load_config(own), "runs", device="cpu", observer=Editor(wider))
    refused(advtrain("train", own), "mynet.py has changed since this run began")


def test_weights_to_start_from_make_another_run_when_they_change(own: Path, tmp_path: Path) -> None:
    """In the same process as well: what the file held once is not taken for what it holds."""
    one, other = (finished(own, f"seed={seed}") for seed in (0, 1))
    weights = tmp_path / "start.pt"
    found = []
    for run in (one, other):
        shutil.copy(run / "last.pt", weights)
        found.append(finished(own, f"model.weights={weights}", "epochs=1"))
    assert found[0] != found[1]


def test_processes_with_different_code_do_not_train_together(own: Path, tmp_path: Path) -> None:
    config = load_config(own)
    path = tmp_path / "runs/own/new-s0-00000000"

    class Elsewhere(Group):
        """As a follower sees a leader who has read other files."""

        def agreed(self, _: Any) -> Any:
            return (checksum_of(config), 0, "of other code")

    with pytest.raises(AdvtrainError, match="finds other images, other source files or another"):
        _follow(Assignment(config, path, None, "cpu"), Elsewhere(rank=1))
