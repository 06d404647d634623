"""Every config that ships, run through the real command on made-up images of the same shape."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from advtrain import load_config
from advtrain.config.names import DATASETS

CONFIGS_DIR = Path(__file__).parents[2] / "configs"
# The recipes of papers, whose networks are too large to train here: test_recipes.py
OTHERS = [path for path in CONFIGS_DIR.rglob("*.yaml") if path.parent.name != "recipes"]
SWEEPS = sorted(path for path in OTHERS if "\nsweep:" in path.read_text())
CONFIGS = sorted(set(OTHERS) - set(SWEEPS))


def test_the_promised_configs_ship() -> None:
    assert {"digits", "article", "fashion_mnist"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_a_config_opens_with_the_command_that_runs_it(path: Path) -> None:
    relative = path.relative_to(CONFIGS_DIR.parent)
    assert path.read_text().startswith(f"# advtrain train {relative}\n")
    assert load_config(path).name == path.stem


@pytest.mark.parametrize("path", SWEEPS, ids=lambda p: p.stem)
def test_a_sweep_opens_with_the_command_that_plans_it(advtrain, path: Path) -> None:
    assert path.read_text().startswith(f"# advtrain sweep {path.relative_to(CONFIGS_DIR.parent)}\n")
    done = advtrain("sweep", path, "--dry-run")
    assert done.code == 0 and "24 runs, 24 to train" in done.out


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_a_config_runs_cut_down(advtrain, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(path)
    channels, height, width = DATASETS.get(config.dataset.name, DATASETS["digits"]).shape
    generator = torch.Generator().manual_seed(0)

    def made_up(name: str, root: Path):
        x = torch.randint(256, (10, channels, height, width), generator=generator)
        labels = torch.arange(10) % DATASETS[name].classes
        return (x[:8].byte(), labels[:8]), (x[8:].byte(), labels[8:])

    monkeypatch.setattr("advtrain.learning.data.sources.downloaded", made_up)
    few = [
        "epochs=2",
        *(["warmup=2"] if config.schedule.warmup else []),
        *(["eps_warmup=2"] if config.schedule.eps_warmup else []),
        "batch_size=4",
        "evaluation.size=2",
    ]
    if config.dataset.name not in DATASETS or config.dataset.name == "digits":
        few += ["train_size=40"]
    done = advtrain("train", path, *few, "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    last = result["last"]
    if path.stem == "nonfinite":
        assert result["verdict"]["cause"] == "nonfinite"
        return
    assert (result["state"], result["epochs"]) == ("finished", 2)
    measured = [name for name, value in last.items() if value is not None]
    assert {"train_robust_loss", "test_clean_acc", "test_robust_acc"} <= set(measured)
    if not config.schedule.eps_warmup:
        assert last["eps"] == pytest.approx(config.attack.eps)


def test_the_article_has_the_textbook_setting() -> None:
    attack = load_config(CONFIGS_DIR / "article.yaml").attack
    assert (attack.eps, attack.step_size, attack.start) == (0.01, 0.01, "zero")


def test_no_config_has_tabs_or_trailing_blanks() -> None:
    text = "".join(path.read_text() for path in CONFIGS_DIR.rglob("*.yaml"))
    assert not re.search(r"\t| +$", text, re.MULTILINE)
