"""Runs on data and networks of a user's own: what is said before they train, and in the verdict."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.command_line import Done

NETWORKS = "import:tests.helpers.odd_networks"


def run_of(done: Done) -> Path:
    assert done.code == 0, done.err
    return Path(json.loads(done.out)["run_dir"])


def test_a_run_says_first_what_it_trains_on(advtrain, tiny: Path, tmp_path: Path) -> None:
    random = np.random.RandomState(0)
    for part, count in (("Training", 5), ("Testing", 2)):
        for name in ("glioma", "none"):
            for i in range(count):
                file = tmp_path / "d" / part / name / f"{i}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.randint(0, 256, (8, 8)).astype(np.uint8)).save(file)
    data = ["dataset={name: image_folder, root: d, val_size: 0.2}", "epochs=1"]
    assert advtrain("train", tiny, *data, "--quiet").err == ""
    done = advtrain("train", tiny, *data, "seed=1")
    assert done.err.splitlines()[:3] == [
        "data: d: Training for training, Testing for test",
        "data: 8 training, 2 validation and 4 test images of 1x8x8",
        "data: 2 classes: glioma, none; images a class: 4 training, 2 test",
    ]


def test_labels_that_do_not_count_from_0_are_refused(advtrain, tmp_path: Path) -> None:
    (tmp_path / "sets.py").write_text(
        "from sklearn.datasets import load_digits\n"
        "def load(train):\n"
        "    digits = load_digits()\n"
        "    return digits.images / 16, digits.target + 1\n"
    )
    (tmp_path / "c.yaml").write_text("model: mlp\ndataset: import:sets:load\n")
    for option in ([], ["--dry-run"]):
        done = advtrain("train", "c.yaml", *option)
        assert (done.code, done.out) == (2, "")
        assert done.err == (
            "c.yaml:2:1: dataset.name: import:sets:load: no training image has label 0: labels "
            "count from 0 without gaps, and these go from 1 to 10; renumber them\n"
        )
    assert not [*(tmp_path / "runs").rglob("*")]


def test_a_softmax_at_the_end_is_said_at_once_and_in_the_verdict(advtrain, tiny: Path) -> None:
    done = advtrain("train", tiny, f"model={NETWORKS}:Softmax", "epochs=1", "--json")
    warned = f"model.name: {NETWORKS}:Softmax: the outputs are probabilities, not logits"
    assert f"warning: {warned}" in done.err
    run = run_of(done)
    (note,) = json.loads((run / "verdict.json").read_text())["notes"]
    assert note.startswith(warned) and "a verdict's stuck and flat mean less" in note
    assert f"note: {warned}" in advtrain("diagnose", run).out
    plain = run_of(advtrain("train", tiny, f"model={NETWORKS}:Plain", "epochs=1", "--json"))
    assert json.loads((plain / "verdict.json").read_text())["notes"] == []


@pytest.mark.parametrize("network", ["NoGrad", "Squeezed", "PairInTraining", "Nan"])
def test_a_network_that_cannot_be_trained_leaves_no_run(
    advtrain, tiny: Path, tmp_path: Path, network: str
) -> None:
    override = f"model={NETWORKS}:{network}"
    done = advtrain("train", tiny, override)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"argument '{override}': model.name: {NETWORKS}:{network}")
    assert not [*(tmp_path / "runs").rglob("*")]


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("network", ["Lazy", "MadeInForward", "OldWeightNorm"])
def test_a_sound_but_odd_network_trains_resumes_and_is_evaluated(
    advtrain, tiny: Path, network: str
) -> None:
    keys = [f"model={NETWORKS}:{network}", "ema=0.9", "--json"]
    first = run_of(advtrain("train", tiny, *keys, "epochs=1"))
    more = advtrain("train", tiny, *keys, "epochs=2", "--from", first)
    losses = [
        json.loads(done)["last"]["train_robust_loss"]
        for done in (advtrain("train", tiny, *keys, "epochs=1").out, more.out)
    ]
    assert losses[1] < losses[0]
    done = advtrain("evaluate", first, "--restarts", 1, "--steps", 2, "--ema", "--images", 20)
    assert done.code == 0, done.err
