"""What `advtrain evaluate` warns of, and AutoAttack."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pyautoattack.autoattack import AutoAttack

from advtrain.config.load import load_config
from advtrain.learning.attacks import strong
from advtrain.learning.attacks.ball import Ball
from advtrain.learning.attacks.doubts import Measured, doubts
from advtrain.learning.attacks.evaluating import EvaluatingAttack
from advtrain.learning.data.images import Resident
from advtrain.learning.models.cnn import small_cnn
from advtrain.learning.streams import preserved
from tests.helpers.known_network import accuracies, by_hand, pixels_run, table

MADE: list[AutoAttack] = []


def shortened(*arguments: Any, **options: Any) -> AutoAttack:
    """AutoAttack in a fraction of its time."""
    made = AutoAttack(*arguments, **options)
    made.apgd.n_iter = made.apgd_targeted.n_iter = made.fab.n_iter = 10
    made.square.n_queries = 200
    MADE.append(made)
    return made


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strong, "autoattack_class", lambda: shortened)


def test_autoattack_finds_the_robust_accuracy_known_by_hand(advtrain, tmp_path: Path) -> None:
    run = pixels_run(advtrain, tmp_path)
    state = torch.get_rng_state()
    done = advtrain("evaluate", run, "--attack", "autoattack", "--checkpoint", "hand.pt",
                    "--images", 8, "--restarts", 1)  # fmt: skip
    assert done.code == 0, done.err
    found = accuracies(run)
    assert list(found) == ["clean", "pgd-5-1", "pgd-50-1", "apgd-ce", "apgd-t", "fab-t", "square",
                           "autoattack"]  # fmt: skip
    assert found["clean"] == 1
    assert len({found[name] for name in found if name != "clean"}) == 1
    assert 0.5 <= found["autoattack"] <= 0.75  # 5 in 8 of all
    assert table(run)[-1]["warnings"] == ""
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_stages_of_autoattack_are_those_of_the_authors(norm: str, quick: None) -> None:
    """Batch for batch the same survivors as its own evaluation, on channels-last weights, too."""
    torch.manual_seed(0)
    model = small_cnn(in_shape=(3, 8, 8), num_classes=5).to(memory_format=torch.channels_last)
    x = torch.rand(40, 3, 8, 8)
    y = model(x).argmax(1)
    y[:4] = (y[:4] + 1) % 5  # some are misclassified
    eps = 0.004 if norm == "linf" else 0.03
    images = Resident(x, y, torch.arange(len(y)))
    with preserved():
        stages = strong.autoattack_stages(
            model, Ball(norm, eps), classes=5, shape=(3, 8, 8), device=torch.device("cpu")
        )
        left = {"clean": flags(model, strong.clean_stage(model), images, torch.ones(40).bool())}
        for stage in stages:
            left[stage.name] = flags(model, stage, images, left[stage.after])
        theirs = shortened(
            model, norm={"linf": "Linf", "l2": "L2"}[norm], eps=eps, seed=0, device="cpu"
        )
        *_, ours = MADE[:-1]
        assert ours.apgd_targeted.n_target_classes == ours.fab.n_target_classes == 4
        theirs.apgd_targeted.n_target_classes = theirs.fab.n_target_classes = 4
        x_adv, _ = theirs.run_standard_evaluation(x, y)
    with torch.no_grad():
        assert torch.equal(left["square"], model(x_adv).argmax(1) == y)
    assert not left["clean"][:4].any() and left["clean"][4:].all()
    assert 0 < left["square"].sum() < left["clean"].sum()


def flags(model: Any, stage: Any, images: Any, begin: torch.Tensor) -> torch.Tensor:
    found = begin.clone()
    for positions, resisted in strong.survivors(model, stage, images, begin):
        found[positions] = resisted
    return found


def test_a_network_that_is_only_sure_gives_no_warning(advtrain, tmp_path: Path) -> None:
    """Its gradients are small; their direction is as good as any."""
    run = pixels_run(advtrain, tmp_path)
    by_hand(tmp_path / "sure.pt", 40)
    done = advtrain("evaluate", run, "--checkpoint", "sure.pt", "--restarts", 1)
    assert done.code == 0 and "masked" not in done.err


def test_a_saturated_softmax_is_a_warning(advtrain, tmp_path: Path) -> None:
    run = pixels_run(advtrain, tmp_path)
    by_hand(tmp_path / "sharp.pt", 1e4)
    done = advtrain("evaluate", run, "--checkpoint", "sharp.pt", "--restarts", 1)
    assert done.err.count("warning:") == 1 and "masked gradients" in done.err
    assert "pgd-50-1 │" in done.out and "% !" in done.out
    of = {row["attack"]: row["warnings"] for row in table(run)}
    assert of["clean"] == ""
    assert of["pgd-50-1"] == of["pgd-5-1"]
    assert "is zero on 32 of 32 images" in of["pgd-50-1"]
    by_hand(tmp_path / "blunt.pt", 20)
    done = advtrain("evaluate", run, "--checkpoint", "blunt.pt", "--restarts", 1)
    assert "warning" not in done.err


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("Rounded", "masked gradients: the input gradient of the loss is zero"),
        ("Noisy", "randomised: two passes over the same images give different outputs"),
        ("Shares", "the outputs are probabilities, not logits"),
    ],
)
def test_other_traps_are_warnings(advtrain, tmp_path: Path, model: str, said: str) -> None:
    run = pixels_run(advtrain, tmp_path, f"model.name=import:by_hand:{model}")
    done = advtrain("evaluate", run, "--checkpoint", "hand.pt", "--restarts", 1)
    assert done.code == 0 and said in done.err
    assert said in table(run)[-1]["warnings"]


def test_square_sees_through_masked_gradients(advtrain, tmp_path: Path, quick: None) -> None:
    run = pixels_run(advtrain, tmp_path, "model.name=import:by_hand:Rounded")
    done = advtrain("evaluate", run, "--attack", "autoattack", "--checkpoint", "hand.pt",
                    "--restarts", 1, "--eps", 0.175)  # fmt: skip
    found = accuracies(run)
    assert found["square"] < found["fab-t"] < found["clean"]
    assert "masked gradients" in done.err
    assert "masked gradients" in table(run)[-1]["warnings"]


@pytest.fixture
def said(tiny: Path) -> Callable[..., dict[str, list[str]]]:
    """Doubts about given accuracies on 1,000 images, where 2 standard errors are some 3 points."""
    config = load_config(tiny)

    def of(eps: float = 0.1, steps: int = 50, **accuracy: float) -> dict[str, list[str]]:
        named = {name.replace("_", "-"): value for name, value in accuracy.items()}
        own = EvaluatingAttack(Ball("linf", eps), 20)
        asked = EvaluatingAttack(own.ball, steps, 10)
        for short, attack in (("own", own), ("strong", asked)):
            named[attack.name] = named.pop(short)
        found = doubts(Measured(named, 1000, own, asked), config, signs=())
        return {
            name.replace(own.name, "own").replace(asked.name, "strong"): [
                text.replace(own.name, "own").replace(asked.name, "strong") for text in texts
            ]
            for name, texts in found.items()
        }

    return of


def test_numbers_that_agree_raise_no_doubt(said) -> None:
    found = said(own=0.52, strong=0.5, apgd_ce=0.5, apgd_t=0.48, fab_t=0.48, square=0.475,
                 autoattack=0.475)  # fmt: skip
    assert not any(found.values())


def test_a_stronger_attack_that_leaves_more_is_doubtful(said) -> None:
    found = said(own=0.5, strong=0.56, apgd_ce=0.6, apgd_t=0.6, fab_t=0.6, square=0.6,
                 autoattack=0.6)  # fmt: skip
    assert found["strong"] == [
        "strong leaves 56.0% where own leaves 50.0%: the stronger attack fails; believe the "
        "lower number"
    ]
    assert found["autoattack"][0].startswith("autoattack leaves 60.0% where strong leaves 56.0%")
    assert said(own=0.5, strong=0.53)["strong"] == []  # within 2 standard errors


def test_square_counts_beyond_a_point_and_two_errors(said) -> None:
    def of(square: float, fab: float = 0.5) -> list[str]:
        return said(own=0.5, strong=0.5, apgd_ce=0.5, apgd_t=0.5, fab_t=fab, square=square,
                    autoattack=square)["square"]  # fmt: skip

    assert of(0.48) == []
    (text,) = of(0.46)
    assert "breaks 4.0 points" in text
    assert of(0.0, fab=0.009) == []  # less than a point


def test_a_weaker_evaluation_than_training_is_said(said) -> None:
    weak = said(steps=1, own=0.5, strong=0.5)
    assert weak["strong"] == ["strong takes 1 steps, fewer than the 2 of the training attack"]
    small = said(eps=0.05, own=0.5, strong=0.5)
    assert small["own"] == small["strong"] == ["eps 0.05 is less than the 0.1 of training"]


def test_a_missing_package_is_one_line(advtrain, tmp_path: Path, monkeypatch) -> None:
    run = pixels_run(advtrain, tmp_path)
    for name in ("pyautoattack", "pyautoattack.autoattack"):
        monkeypatch.setitem(sys.modules, name, None)
    done = advtrain("evaluate", run, "--attack", "autoattack")
    assert done.code == 2 and done.err == (
        "argument '--attack autoattack': needs a package more: pip install 'advtrain[autoattack]'\n"
    )


def test_what_autoattack_cannot_do_is_one_line(advtrain, tmp_path: Path) -> None:
    run = pixels_run(advtrain, tmp_path, "attack.norm=l2")
    done = advtrain("evaluate", run, "--attack", "autoattack")
    assert done.code == 2 and "fails for norm l2 on images of 2x2" in done.err
    model = torch.nn.Linear(4, 3)
    with pytest.raises(strong.AdvtrainError, match="expected at least 4 classes"):
        strong.autoattack_stages(
            model, Ball("linf", 0.1), classes=3, shape=(1, 2, 2), device=torch.device("cpu")
        )


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_ties_of_a_constant_network_are_no_failure(norm: str, quick: None) -> None:
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 5))
    for parameter in model.parameters():
        torch.nn.init.zeros_(parameter)
    images = Resident(torch.rand(3, 1, 8, 8), torch.zeros(3).long(), torch.arange(3))
    with preserved():
        for stage in strong.autoattack_stages(
            model, Ball(norm, 0.1), classes=5, shape=(1, 8, 8), device=torch.device("cpu")
        ):
            assert flags(model, stage, images, torch.ones(3).bool()).all()
