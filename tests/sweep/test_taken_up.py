"""A sweep takes up only runs of its own code and images; seeds of one cell are never of two."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from advtrain import load_config, train
from advtrain.config.schema import Config
from advtrain.errors import AdvtrainError
from advtrain.sweep.launch.config_json import config_from_json, config_to_json
from advtrain.sweep.plan import Planned, plan, read_study
from advtrain.sweep.taken_up import check_taken_up
from advtrain.tasks.checksums import checksum_of
from tests.helpers.command_line import Done
from tests.helpers.own_arrays import write_arrays, write_function
from tests.helpers.own_network import change, forget_code, refused, write_own

Command = Callable[..., Done]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_own(tmp_path)


def planned(file: Path, *arguments: str, seeds: str = "0-1") -> list[Planned]:
    return plan(read_study(file, list(arguments), seeds, Path("runs")))


def trained(file: Path, *keys: str) -> Path:
    return train(load_config(file, keys), "runs", device="cpu").dir


@pytest.mark.parametrize("seeds", ["0-1", "1-2"], ids=["the run itself", "only other seeds"])
def test_further_seeds_of_a_cell_need_its_code(own: Path, seeds: str) -> None:
    run = trained(own)
    assert check_taken_up(planned(own, seeds=seeds)) == []
    change(own.parent / "blocks.py", "ReLU", "Sigmoid")
    with pytest.raises(AdvtrainError) as error:
        check_taken_up(planned(own, seeds=seeds))
    assert str(error.value).startswith(f"{run}: blocks.py has changed since this run began; ")
    assert "a sweep of its own with name=..." in str(error.value)
    assert check_taken_up(planned(own, "name=sigmoid", seeds=seeds)) == []
    assert check_taken_up(planned(own, "eps=0.2", seeds=seeds)) == [], "another cell"


def test_all_runs_of_other_code_are_counted_but_not_those_to_be_trained_anew(own: Path) -> None:
    trained(own)
    trained(own, "seed=1")
    change(own.parent / "mynet.py", "WIDTH = 8", "WIDTH = 16")
    with pytest.raises(AdvtrainError, match=r"\(and 1 more\): mynet\.py has changed"):
        check_taken_up(planned(own))
    assert check_taken_up(planned(own), anew=True) == []
    with pytest.raises(AdvtrainError, match=r"mynet\.py has changed"):
        check_taken_up(planned(own, seeds="1"), anew=True)  # it would stand beside seed 0


def test_a_sweep_of_other_code_is_refused_before_anything_is_written(
    advtrain: Command, own: Path
) -> None:
    run = trained(own)
    change(own.parent / "mynet.py", "WIDTH = 8", "WIDTH = 16")
    for more in ([], ["--dry-run"]):
        done = advtrain("sweep", own, "--seeds", "0-2", *more)
        refused(done, str(run), "mynet.py has changed since this run began", "name=...")
    assert [*Path("runs/own").iterdir()] == [run]


def test_runs_of_older_versions_are_named_once(advtrain: Command, own: Path) -> None:
    for seed in (0, 1):
        forget_code(trained(own, f"seed={seed}"))
    (text,) = check_taken_up(planned(own))
    assert "and 1 more: no checksum of the code" in text
    assert advtrain("sweep", own, "--seeds", "0-2", "--dry-run").out.count("cannot be told") == 1


def test_all_rounds_of_a_sweep_use_the_code_that_it_began_with(own: Path) -> None:
    study = read_study(own, ["eps=0.1,0.2"], None, Path("runs"))
    before = plan(study)[0].config.origin.code
    assert before and {*before["model.name"]} == {"mynet", "blocks"}
    change(own.parent / "mynet.py", "WIDTH = 8", "WIDTH = 16")
    later = plan(study, list(study.grid.cells()))  # as a refinement asks
    assert [run.config.origin.code for run in later] == [before, before]


def test_a_config_takes_the_code_of_its_sweep_to_other_processes(own: Path) -> None:
    config = planned(own, "eps=0.1,0.2")[0].config
    told = json.loads(json.dumps(config_to_json(config)))
    for other in (config_from_json(told), pickle.loads(pickle.dumps(config))):
        assert other == config and other.origin.code == config.origin.code != {}


@pytest.fixture
def function(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A config whose images a function reads from a file; they are loaded in this process."""
    monkeypatch.chdir(tiny.parent)
    write_function(tiny)

    def here(configs: Sequence[Config]) -> list[str]:
        return [checksum_of(config) for config in configs]

    monkeypatch.setattr("advtrain.sweep.taken_up.image_sums", here)
    return tiny


def test_further_seeds_of_a_cell_need_its_images(function: Path) -> None:
    trained(function)
    assert check_taken_up(planned(function)) == []
    write_arrays(function.parent, np.arange(1, 61) % 3)
    for seeds in ("0-1", "1"):
        with pytest.raises(AdvtrainError, match=r"the images of import:mine:load are not those"):
            check_taken_up(planned(function, seeds=seeds))
    assert check_taken_up(planned(function), load=False) == []
    assert check_taken_up(planned(function, "name=permuted")) == []


def test_what_cannot_be_changed_is_not_loaded(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[Config] = []
    monkeypatch.setattr("advtrain.sweep.taken_up.image_sums", lambda c: asked.extend(c) or [])
    trained(tiny)
    assert check_taken_up(planned(tiny)) == [] == asked
