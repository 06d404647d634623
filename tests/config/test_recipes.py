"""The papers' recipes: every one loads, and says what docs/recipes.md and the papers say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from advtrain import load_config
from advtrain.config.objectives import Fgsm, Trades
from advtrain.config.schema import Config
from advtrain.learning.models import build_model
from advtrain.sweep.plan import Planned, plan, read_study

ROOT = Path(__file__).parents[2]
RECIPES = {path.stem: path for path in sorted((ROOT / "configs" / "recipes").glob("*.yaml"))}
SWEEPS = {name for name, path in RECIPES.items() if "\nsweep:" in path.read_text()}
TRAINED = sorted(RECIPES.keys() - SWEEPS)

RUNS = {
    "andriushchenko_co": 20,
    "andriushchenko_gradalign": 5,
    "fashion_methods": 21,
    "fashion_co": 9,
}

# Clean / PGD / AutoAttack, spelled out once more and independently.
PUBLISHED = {
    "madry_mnist": "98.5 / 89.6 / 88.5",
    "wong_mnist": "98.5 / 88.8 / 82.9",
    "trades_mnist": "99.5 / 95.6 / 92.8",
    "wong_cifar10": "79-84 / 45-46 / 43",
    "rice_cifar10": "82.9 / 53.5 / –",
    "rice_wrn34_10": "– / 56.8 / –",
    "trades_cifar10": "84.9 / 56.4 / 53.1",
}


def head(name: str) -> str:
    return re.split(r"^[^#]", RECIPES[name].read_text(), maxsplit=1, flags=re.MULTILINE)[0]


def said(name: str, label: str) -> str:
    (text,) = re.findall(rf"^# {label}: (.+)$", head(name), re.MULTILINE)
    assert isinstance(text, str)
    return text


def rows() -> dict[str, list[str]]:
    """Config to the cells of its row in docs/recipes.md."""
    text = (ROOT / "docs" / "recipes.md").read_text()
    cells = [[cell.strip() for cell in line.strip("|").split("|")]
             for line in text.splitlines() if "](../configs/recipes/" in line]  # fmt: skip
    assert all(len(row) == 7 for row in cells)
    return {Path(re.findall(r"\((.+)\)", row[5])[0]).stem: row for row in cells}


def recipe(name: str) -> Config:
    return load_config(RECIPES[name])


def planned(name: str, tmp_path: Path) -> list[Planned]:
    return plan(read_study(RECIPES[name], [], None, tmp_path))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_opens_with_the_command_that_runs_it(name: str) -> None:
    found = re.match(r"# advtrain (train|sweep) (\S+)\n#\n# [A-Z]", head(name))
    assert found is not None
    assert ROOT / found[2] == RECIPES[name]
    assert found[1] == ("sweep" if name in SWEEPS else "train")
    mentioned = re.findall(r"\b\w+\.yaml", head(name))
    assert mentioned and all((RECIPES[name].parent / file).exists() for file in mentioned)


@pytest.mark.parametrize("name", TRAINED)
def test_a_recipe_loads_under_its_own_name(advtrain, name: str) -> None:
    done = advtrain("train", RECIPES[name], "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert f"/{name}/" in done.out


@pytest.mark.parametrize(("name", "runs"), RUNS.items())
def test_a_study_plans_its_runs(advtrain, name: str, runs: int) -> None:
    done = advtrain("sweep", RECIPES[name], "--dry-run")
    assert done.code == 0 and f"{runs} runs, {runs} to train" in done.out, done.err
    assert f"/{name}/" in done.out


def test_every_sweep_is_planned_above() -> None:
    assert RUNS.keys() == SWEEPS


def test_the_table_has_a_row_for_each_recipe_and_its_figures() -> None:
    table = rows()
    assert table.keys() == RECIPES.keys()
    for name, (_, paper, ours, *_) in table.items():
        assert said(name, "paper") == paper, name
        assert said(name, "measured here") == (ours or "not measured"), name


def test_what_is_measured_has_a_device_a_time_and_a_commit() -> None:
    for name, (_, _, ours, device, time, _, commit) in rows().items():
        assert all((device, time, commit)) == bool(ours) == any((device, time, commit)), name


def test_the_papers_figures_are_theirs() -> None:
    triples = {name: said(name, "paper") for name in RECIPES}
    assert {k: v for k, v in triples.items() if v.count(" / ") == 2} == PUBLISHED


def test_the_mnist_recipes_have_the_papers_settings() -> None:
    madry, wong, trades = (recipe(f"{name}_mnist") for name in ("madry", "wong", "trades"))
    assert madry.training.epochs * 60_000 / madry.training.batch_size == pytest.approx(
        1e5, rel=0.01
    )
    assert (madry.attack.eps, madry.attack.step_size, madry.attack.steps) == (0.3, 0.01, 40)
    assert (madry.optimizer.name, madry.optimizer.lr, madry.training.batch_size) == (
        "adam", 1e-4, 50,
    )  # fmt: skip
    assert isinstance(wong.objective, Fgsm) and wong.single_step
    assert (wong.attack.eps, wong.objective.start, wong.objective.alpha) == (0.3, "uniform", 0.375)
    assert (wong.optimizer.lr, wong.training.epochs, wong.training.batch_size) == (5e-3, 10, 100)
    assert isinstance(trades.objective, Trades) and trades.objective.beta == 1
    assert (trades.attack.start, trades.attack.steps, trades.attack.step_size) == ("zero", 40, 0.01)
    assert (trades.optimizer.lr, trades.optimizer.weight_decay) == (0.01, 0)


def test_the_cifar_recipes_have_the_papers_settings() -> None:
    rice, l2, trades, pang = (
        recipe(n) for n in ("rice_cifar10", "rice_cifar10_l2", "trades_cifar10", "pang_tricks")
    )
    assert (rice.attack.eps, rice.attack.step_size, rice.attack.steps) == (8 / 255, 2 / 255, 10)
    assert rice.schedule.model_dump()["milestones"] == [100, 150] and rice.training.epochs == 200
    assert (l2.attack.norm, l2.attack.eps, l2.attack.step_size) == ("l2", 128 / 255, 15 / 255)
    assert (trades.attack.eps, trades.attack.step_size, trades.attack.start) == (
        0.031, 0.007, "zero",
    )  # fmt: skip
    assert isinstance(trades.objective, Trades) and trades.objective.beta == 6
    assert (trades.optimizer.weight_decay, trades.training.epochs) == (2e-4, 76)
    assert (rice.attack.model_mode, pang.attack.model_mode) == ("train", "eval")
    assert pang.schedule.model_dump()["milestones"] == [100, 105] and pang.training.epochs == 110
    assert pang.model.args == {"depth": 34, "width": 10, "dropout": 0.0}
    assert pang.optimizer.weight_decay == 5e-4


def test_the_others_of_rice_differ_from_the_first_by_what_their_heads_say() -> None:
    rice = recipe("rice_cifar10").model_dump()
    for name, changed in {
        "rice_cifar10_l2": {"attack"}, "rice_cifar100": {"dataset"}, "rice_wrn34_10": {"model"},
        "rice_svhn": {"dataset", "attack", "optimizer"},
    }.items():  # fmt: skip
        other = recipe(name).model_dump()
        assert {key for key in rice if rice[key] != other[key]} == {"name", *changed}, name
    svhn = recipe("rice_svhn")
    assert (svhn.optimizer.lr, svhn.attack.step_size, svhn.dataset.augment) == (
        0.01, 1 / 255, "none",
    )  # fmt: skip


def test_the_fast_methods_have_their_papers_settings(tmp_path: Path) -> None:
    wong = recipe("wong_cifar10")
    assert isinstance(wong.objective, Fgsm)
    assert (wong.objective.alpha, wong.attack.eps) == ("1.25*eps", 8 / 255)
    assert (wong.optimizer.lr, wong.training.epochs) == (0.2, 15)
    configs = [run.config for run in planned("andriushchenko_co", tmp_path)]
    assert {round(255 * c.attack.eps) for c in configs} == {4, 8, 10, 12, 16}
    assert {
        (c.objective.name, getattr(c.objective, "start", ""), c.optimizer.lr, c.training.epochs)
        for c in configs
    } == {("fgsm", "zero", 0.2, 30), ("fgsm", "uniform", 0.2, 30), ("free", "", 0.04, 96),
          ("pgd", "", 0.2, 30)}  # fmt: skip
    for c in configs:
        assert c.attack.step_size == pytest.approx(c.attack.eps / 5) and c.attack.start == "zero"


def test_the_weight_of_gradalign_grows_with_eps(tmp_path: Path) -> None:
    for run in planned("andriushchenko_gradalign", tmp_path):
        keys = run.config.objective
        assert isinstance(keys, Fgsm) and keys.start == "zero"
        expected = 0.02 * 10 ** (255 * run.config.attack.eps / 8)
        assert keys.gradalign == pytest.approx(expected, rel=0.01)


def test_the_study_of_methods_is_cut_down(tmp_path: Path) -> None:
    runs = planned("fashion_methods", tmp_path)
    assert {run.seed for run in runs} == {0, 1, 2} and len({run.overrides for run in runs}) == 7
    for config in (run.config for run in runs):
        assert (config.dataset.name, config.dataset.train_size) == ("fashion_mnist", 10_000)
        assert (config.attack.steps, config.training.epochs) == (10, 12)


@pytest.mark.parametrize(("network", "parameters"), [("wong", 166_406), ("trades", 312_202)])
def test_the_networks_of_the_mnist_recipes_are_the_papers(network: str, parameters: int) -> None:
    config = recipe(f"{network}_mnist")  # makes the module beside it importable
    model = build_model(config.model.name, in_shape=(1, 28, 28), num_classes=10)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert model(torch.rand(3, 1, 28, 28)).shape == (3, 10)
