"""examples.npz: a few test images and their perturbations at the first, best and last epoch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from advtrain import load_config, train
from advtrain.learning.attacks.ball import Ball
from advtrain.learning.attacks.evaluating import own_start
from advtrain.learning.data.splits import load_data
from advtrain.learning.models import build_model
from advtrain.records import TIMES
from advtrain.store.examples_npz import Examples, read_examples, to_bytes
from advtrain.tasks import keep
from tests.helpers import kills
from tests.helpers.damage import cut, empty, text
from tests.helpers.poisoned import POISONED, Poison
from tests.helpers.stopped_runs import NORMED, Stop, stopped, undisturbed

COLOUR = """\
import torch

def load(train):
    images = torch.rand(90, 3, 9, 7, generator=torch.Generator().manual_seed(int(train)))
    return images, torch.arange(90) % 3
"""


def shown(run: Path) -> Examples:
    """What a run's file holds; it has one."""
    found = read_examples(run / "examples.npz")
    assert found is not None
    return found


def epochs(examples: Examples) -> dict[str, int]:
    return {name: stage.epoch for name, stage in examples.stages.items()}


@pytest.mark.parametrize(
    "keys",
    [
        [],
        ["norm=l2", "eps=1.5", "restarts=2"],
        [*NORMED, "restarts=3"],
        ["model=lstm", "model.args.hidden=16", "objective=standard"],
        ["dataset='import:colour:load'", "model=small_cnn", "dataset.train_size=60"],
        ["eps=0"],
    ],
    ids=lambda keys: " ".join(keys)[:30],
)
def test_the_file_says_what_the_last_weights_make_of_the_images(
    config: Path, tmp_path: Path, keys: list[str]
) -> None:
    (tmp_path / "colour.py").write_text(COLOUR)
    loaded = load_config(config, keys)
    run = train(loaded, tmp_path / "runs", device="cpu")
    examples, data = shown(run.dir), load_data(loaded.dataset, torch.device("cpu"))
    last, eps, norm = examples.stages["last"], loaded.attack.eps, loaded.attack.norm
    assert epochs(examples) == {"first": 1, "best": run.status.best_epoch, "last": 3}
    x, y, ids = next(iter(data.test.batches([torch.from_numpy(examples.index)])))
    assert np.abs(examples.x - x.numpy()).max() <= 0.5001 / 255
    assert examples.label.tolist() == y.tolist()
    assert len(set(y.tolist())) == min(8, data.num_classes) and len(y) == 8

    model = build_model(
        loaded.model.name, in_shape=data.shape, num_classes=data.num_classes, **loaded.model.args
    )
    model.load_state_dict(kills.load(run.dir / "last.pt")["model"])
    model.eval()
    climbed = [
        attack_by_hand(model, x, y, ids, eps, norm, i) for i in range(loaded.attack.restarts)
    ]
    losses = torch.stack([F.cross_entropy(model(each), y, reduction="none") for each in climbed])
    x_adv = torch.stack(climbed)[losses.argmax(0), torch.arange(len(y))]
    for images, label, confidence in (
        (x, last.clean_label, last.clean_confidence),
        (x_adv, last.robust_label, last.robust_confidence),
    ):
        probability = model(images).softmax(1).detach()
        assert label.tolist() == probability.argmax(1).tolist()
        np.testing.assert_allclose(confidence, probability.amax(1), atol=1e-5)
        assert confidence.max() <= 1 and confidence.min() >= 1 / data.num_classes
    step = last.scale / 127
    assert np.abs(last.perturbation - (x_adv - x).numpy()).max() <= 0.501 * step + 1e-6
    assert np.abs(examples.x_adv("last") - x_adv.numpy()).max() <= 0.501 * (step + 1 / 255) + 1e-6


def attack_by_hand(
    model: torch.nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    ids: torch.Tensor,
    eps: float,
    norm: str,
    restart: int,
) -> torch.Tensor:
    """The evaluation's attack of 2 steps, image by image."""
    x_adv = own_start(x, ids, Ball(norm, eps), restart)
    for _ in range(2):
        x_adv.requires_grad_()
        (grad,) = torch.autograd.grad(F.cross_entropy(model(x_adv), y, reduction="sum"), x_adv)
        moved = []
        for one, g, x0 in zip(x_adv.detach(), grad, x, strict=True):
            up = g.sign() if norm == "linf" else g / g.norm().clamp_min(1e-30)
            delta = one + 2.5 * eps / 2 * up - x0
            small = delta.clamp(-eps, eps) if norm == "linf" else delta * min(1, eps / delta.norm())
            moved.append((x0 + small).clamp(0, 1))
        x_adv = torch.stack(moved)
    return x_adv


@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.1), ("l2", 1.5)])
def test_perturbations_stay_in_the_ball_and_the_box(
    config: Path, tmp_path: Path, norm: str, eps: float
) -> None:
    run = train(load_config(config, [f"norm={norm}", f"eps={eps}"]), tmp_path / "runs").dir
    examples = shown(run)
    for stage in examples.stages.values():
        delta = stage.perturbation.reshape(8, -1)
        sizes = np.abs(delta).max(1) if norm == "linf" else np.sqrt((delta**2).sum(1))
        assert sizes.min() > 0.6 * eps and sizes.max() <= eps * 1.02
        moved = examples.x + stage.perturbation
        assert moved.min() >= -eps / 250 - 1 / 500 and moved.max() <= 1 + eps / 250 + 1 / 500


def test_every_seed_is_shown_the_same_images(config: Path, tmp_path: Path) -> None:
    a, b = (shown(train(load_config(config, [f"seed={n}"]), tmp_path / "r").dir) for n in (0, 1))
    assert (a.images == b.images).all() and (a.index == b.index).all()
    assert (a.stages["last"].delta != b.stages["last"].delta).any()


def test_showing_examples_changes_no_training(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_config(config, NORMED)
    told = train(loaded, tmp_path / "told", device="cpu").dir
    monkeypatch.setattr(keep, "attacked", lambda *_: None)
    silent = train(loaded, tmp_path / "silent", device="cpu").dir
    assert not (silent / "examples.npz").exists()
    assert kills.differences(told, silent) == ["examples.npz: differs, or only one has it"]
    a, b = (pd.read_csv(run / "metrics.csv").drop(columns=list(TIMES)) for run in (told, silent))
    pd.testing.assert_frame_equal(a, b, check_exact=True)


def test_the_stages_of_runs_that_end_otherwise_are_those_they_reached(
    config: Path, tmp_path: Path
) -> None:
    early = ["early_stopping=2", "lr=1e-9", "epochs=50"]
    run = train(load_config(config, early), tmp_path / "runs", device="cpu")
    done = run.status.epoch
    assert done < 50 and epochs(shown(run.dir)) == {"first": 1, "best": done - 2, "last": done}
    blind = train(load_config(config, ["val_size=0"]), tmp_path / "runs", device="cpu").dir
    assert epochs(shown(blind)) == {"first": 1, "last": 3}
    child = load_config(config, ["epochs=5", "lr=1e-9"])
    (tmp_path / "spoilt.py").write_text(POISONED)
    keys = ["model='import:spoilt:Net'", "val_size=0", "epochs=4"]
    poison = Poison(tmp_path / "poison")
    bad = train(load_config(config, keys), tmp_path / "runs", device="cpu", observer=poison)
    assert bad.status.stopped == "nonfinite" and epochs(shown(bad.dir)) == {"first": 1}
    parent = train(load_config(config), tmp_path / "runs", device="cpu").dir
    before = (parent / "examples.npz").read_bytes()
    found = shown(train(child, tmp_path / "runs", device="cpu", from_run=parent).dir)
    assert (found.stages["first"].epoch, found.stages["last"].epoch) == (4, 5)
    assert (parent / "examples.npz").read_bytes() == before


def of_other_images(file: Path) -> None:
    examples = shown(file.parent)
    examples.images[0, 0, 0, 0] ^= 1
    file.write_bytes(to_bytes(examples))


@pytest.mark.parametrize("damage", [cut, empty, text, of_other_images])
def test_a_damaged_file_is_begun_anew(
    config: Path, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    quiet = undisturbed(config)
    run = stopped(config, tmp_path / "runs")
    damage(run / "examples.npz")
    watch = Stop(99)
    train(load_config(config), tmp_path / "runs", device="cpu", observer=watch)
    (warning,) = watch.warnings
    assert "examples.npz" in warning and "begun anew" in warning and len(warning.splitlines()) == 1
    found, whole = shown(run), shown(quiet)
    assert "first" not in found.stages and found.stages["last"].epoch == 3
    assert (found.stages["last"].delta == whole.stages["last"].delta).all()


def test_stages_beyond_the_checkpoint_are_not_taken_over(config: Path, tmp_path: Path) -> None:
    run = train(load_config(config, ["val_size=0"]), tmp_path / "runs", device="cpu").dir
    whole = shown(run)
    for epoch, kept in ((0, []), (1, ["first"]), (2, ["first"]), (3, ["first", "last"])):
        examples = Examples(whole.norm, whole.images, whole.label, whole.index)
        examples.go_on(run / "examples.npz", epoch)
        assert list(examples.stages) == kept
