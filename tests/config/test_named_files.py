"""Files that a config names are found from any folder, and never another one of that name."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from advtrain.config.identity import identity
from advtrain.config.load import load_config, located
from advtrain.sweep.launch import worker
from advtrain.sweep.launch.pool import Worker, Workers
from advtrain.sweep.plan import plan, read_study
from tests.helpers.command_line import Done

MINE = """\
import numpy as np
def load(train, file):
    with np.load(file) as found:
        return found["images"], found["labels"]
"""
CONFIG = """\
name: mine
model: mlp
dataset: {name: 'import:from_file:load', args: {file: digits.npz}}
training: {epochs: 1}
evaluation: {steps: 10, size: 20}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a config, its module and its data."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "from_file.py").write_text(MINE)
    (folder / "c.yaml").write_text(CONFIG)
    labels = np.arange(60) % 3
    images = np.random.default_rng(0).random((60, 8, 8))
    np.savez(folder / "digits.npz", images=images, labels=labels)
    torch.save({}, folder / "w.pt")
    return folder


def handed(project: Path, args: str) -> dict:
    """What a dataset's function is given."""
    config = load_config(project / "c.yaml", [f"dataset.args={args}"])
    with located(config):
        return config.dataset.arguments


def test_a_run_begins_goes_on_and_is_evaluated_from_other_folders(
    advtrain, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    done: Done = advtrain("train", project / "c.yaml", "--json")  # in the folder around it
    assert done.code == 0, done.err
    run = tmp_path / json.loads(done.out)["run_dir"]
    monkeypatch.chdir(tmp_path / "elsewhere")
    load_config(run / "config.yaml")  # whose own folder has no such file
    few = ("--images", 6, "--steps", 1, "--restarts", 1)
    assert advtrain("evaluate", run, *few).code == 0
    again = advtrain("train", run / "config.yaml", "epochs=2", "--json")
    assert again.code == 0, again.err


def test_only_what_is_a_file_there_is_taken_for_one(project: Path, monkeypatch) -> None:
    (project / "train").mkdir()
    (project / "parts").mkdir()
    (project / "parts/a.npz").touch()
    monkeypatch.chdir(project.parent)
    args = "{split: train, parts: ./train, file: parts/a.npz, more: [digits.npz, 3, none.npz], n: 1"
    assert handed(project, args + ", url: 'https://a.b/c', long: " + "x" * 999 + "}") == {
        "split": "train",
        "parts": f"{project}/train",
        "file": f"{project}/parts/a.npz",
        "more": [f"{project}/digits.npz", 3, "none.npz"],
        "n": 1,
        "url": "https://a.b/c",
        "long": "x" * 999,
    }


def test_what_lies_in_the_current_folder_is_handed_over_as_it_is_written(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    assert handed(project, "{file: digits.npz}") == {"file": "digits.npz"}
    (project / "configs").mkdir()
    config = (project / "c.yaml").rename(project / "configs/c.yaml")
    assert handed(config.parent, "{file: digits.npz}") == {"file": "digits.npz"}


def test_two_files_of_one_name_are_refused_where_the_name_is_given(
    advtrain, project: Path, tmp_path: Path
) -> None:
    text = "digits.npz is both in the current folder and in the config's ("
    (tmp_path / "digits.npz").write_text("another")  # where the command line works
    done: Done = advtrain("train", project / "c.yaml")
    assert done.err.startswith(f"{project}/c.yaml:3:49: dataset.args.file: {text}")
    digits = ("train", project / "c.yaml", "dataset=digits")
    done = advtrain(*digits, "weights=digits.npz")
    assert done.err.startswith(f"argument 'weights=digits.npz': model.weights: {text}")
    model = "model={name: 'import:json:loads', args: {s: digits.npz}}"
    assert advtrain(*digits, model).err.startswith(f"argument '{model}': model.args.s: {text}")
    root = "dataset={name: image_folder, root: digits.npz}"
    done = advtrain("train", project / "c.yaml", root)
    assert done.err.startswith(f"argument '{root}': dataset.root: {text}")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert not [*tmp_path.glob("runs/**/*")]


def test_weights_beside_the_config_are_the_same_from_anywhere(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for folder in (project, tmp_path):
        monkeypatch.chdir(folder)
        config = load_config(project / "c.yaml", ["weights=w.pt"])
        assert (config.model.weights_file or Path()).resolve() == project / "w.pt"
        found.append(identity(config))
    assert found[0] == found[1]


def test_a_sweeps_worker_finds_the_same_files(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (run,) = plan(read_study(project / "c.yaml", [], "0", Path("runs")))
    told, handed = io.BytesIO(), []
    at: Any = SimpleNamespace(device="cpu")
    process: Any = SimpleNamespace(stdin=told)
    with (tmp_path / "log").open("ab") as log:
        Workers([], tmp_path, []).assign(Worker(at, process, log, 0), run, Path("runs"))
    monkeypatch.setattr(
        "advtrain.tasks.train.train", lambda config, *_, **__: handed.append(config.dataset)
    )
    worker._train(json.loads(told.getvalue()), worker.Reporter(0))
    assert handed[0].arguments == {"file": f"{project}/digits.npz"}


def test_downloads_go_to_the_current_folder_and_are_found_beside_the_config(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dataset = load_config(project / "c.yaml", ["dataset=mnist"]).dataset
    assert dataset.folder == Path("data")
    (project / "data").mkdir()
    assert dataset.folder == project / "data"
    (tmp_path / "data").mkdir()
    assert dataset.folder == Path("data")
