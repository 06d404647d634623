"""`train --dry-run`: what it says of the attack and the data, what it finds, and what it loads."""

from __future__ import annotations

from pathlib import Path

import pytest

NETWORKS = "import:tests.helpers.odd_networks"


def said(plan: str, word: str) -> list[str]:
    """What stands behind a word of the plan."""
    return [line[11:] for line in plan.splitlines() if line.startswith(f"{word:<11}")]


@pytest.mark.parametrize(
    ("objective", "words"),
    [
        ("pgd", "linf, eps 0.1, 2 steps of 0.125 from a uniform start (pgd); evaluated with 2"),
        ("trades", "linf, eps 0.1, 2 steps of 0.125 from a uniform start (trades); evaluated with"),
        ("{name: fgsm, start: zero}", "linf, eps 0.1, one step of 0.1 from the image (fgsm); ev"),
        ("fgsm", "linf, eps 0.1, one step of 0.125 from a uniform start (fgsm); evaluated with 2"),
        ("{name: fgsm, start: noise, noise: 3}",
         "linf, eps 0.1, one step of 0.1 from noise of up to 3 eps, without projection (fgsm); "),
        ("{name: free, replays: 4, alpha: eps/2}",
         "linf, eps 0.1, one step of 0.05 after each of 4 replays of a batch (free); evaluated"),
        ("standard", "no attack in training (standard); evaluated with linf, eps 0.1, 2 steps"),
    ],
)  # fmt: skip
def test_the_plan_describes_the_attack_of_the_objective(
    advtrain, tiny: Path, objective: str, words: str
) -> None:
    (line,) = said(advtrain("train", tiny, f"objective={objective}", "--dry-run").out, "attack")
    assert line.startswith(words)


def test_the_plan_counts_restarts_and_single_steps(advtrain, tiny: Path) -> None:
    keys = ["restarts=3", "steps=1", "start=zero", "alpha=eps"]
    (line,) = said(advtrain("train", tiny, *keys, "--dry-run").out, "attack")
    assert "one step of 0.1 from the image, the strongest of 3 (pgd)" in line


@pytest.mark.parametrize("objective", ["fgsm", "free", "standard"])
def test_no_caution_is_about_an_attack_that_the_objective_ignores(
    advtrain, tiny: Path, objective: str
) -> None:
    keys = ["alpha=0.001", "restarts=2", "attack.start=zero"]
    plan = advtrain("train", tiny, *keys, f"objective={objective}", "--dry-run").out
    assert said(plan, "caution") == []
    assert len(said(advtrain("train", tiny, *keys, "--dry-run").out, "caution")) == 2


def test_a_step_that_stays_within_the_ball_is_a_caution_of_fgsm_too(advtrain, tiny: Path) -> None:
    short = "objective={name: fgsm, start: zero, alpha: eps/2}"
    (caution,) = said(advtrain("train", tiny, short, "--dry-run").out, "caution")
    assert caution.startswith("objective.alpha: one step of 0.05 from the image stays within")


def test_a_plan_of_what_is_built_in_says_what_it_is(advtrain, tiny: Path) -> None:
    """Without torch: tests/test_architecture.py."""
    done = advtrain("train", tiny, "--dry-run")
    assert done.code == 0, done.err
    assert said(done.out, "data") == [
        "1437 training and 360 test images of 1x8x8",
        "10 classes: 0 to 9",
    ]


def test_a_plan_names_the_classes_of_built_in_data(advtrain, tiny: Path) -> None:
    *_, names = said(advtrain("train", tiny, "dataset=cifar10", "--dry-run").out, "data")
    assert names.startswith("10 classes: airplane, automobile, bird") and names.endswith("truck")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (
            f"{NETWORKS}:Plane",
            "model.name: import:tests.helpers.odd_networks:Plane: Attribute",
        ),
        (f"{NETWORKS}:NoGrad", "no gradient reaches the images"),
        ("torchvision:resnt18", "did you mean torchvision:resnet18?"),
    ],
)
def test_a_plan_refuses_a_network_that_training_would(
    advtrain, tiny: Path, model: str, says: str
) -> None:
    done = advtrain("train", tiny, f"model={model}", "--dry-run")
    assert (done.code, done.out) == (2, "") and done.err.count("\n") == 1
    assert done.err.startswith(f"argument 'model={model}': model.name: ") and says in done.err


def test_a_plan_says_what_is_doubtful_about_network_and_data(advtrain, tmp_path: Path) -> None:
    (tmp_path / "sets.py").write_text(
        "import numpy as np\n"
        "def load(train):\n"
        "    x = np.random.RandomState(0).rand(40, 8, 8)\n"
        "    return x[:40 if train else 10], np.arange(40)[:40 if train else 10] % 10\n"
    )
    config = tmp_path / "c.yaml"
    config.write_text(f"model: {NETWORKS}:Softmax\ndataset: import:sets:load\n")
    plan = advtrain("train", config, "--dry-run").out
    assert said(plan, "data") == [
        "36 training, 4 validation and 10 test images of 1x8x8",
        "10 classes: 0 to 9; images a class: 3 to 4 training, 1 test",
    ]
    data, network = said(plan, "caution")
    assert data == "dataset.name: 10 of 10 test images are training images, too"
    assert "the outputs are probabilities, not logits" in network
    assert not (tmp_path / "runs").exists()


def test_a_plan_refuses_weights_that_do_not_fit(advtrain, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "w.pt").write_bytes(b"")
    done = advtrain("train", tiny, "weights=w.pt", "--dry-run")
    assert done.code == 2 and done.err.startswith("argument 'weights=w.pt': model.weights: w.pt")
