"""Every config that ships, run through the real command on made-up images of the same shape."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from advtrain import load_config
from advtrain.config.names import DATASETS

CONFIGS_DIR = Path(__file__).parent.parent / "configs"
SWEEPS = sorted(p for p in CONFIGS_DIR.rglob("*.yaml") if "\nsweep:" in p.read_text())
CONFIGS = sorted(set(CONFIGS_DIR.rglob("*.yaml")) - set(SWEEPS))


def test_the_promised_configs_ship() -> None:
    names = {"digits", "article", "fashion_mnist", "mnist_madry", "cifar10_rice", "cifar10_fast"}
    assert names <= {path.stem for path in CONFIGS}


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


def test_recipes_say_what_the_papers_say() -> None:
    """Figures of shared knowledge, spelled out once more and independently."""
    by_name = {path.stem: load_config(path) for path in CONFIGS}
    rice, fast, madry = (by_name[n] for n in ("cifar10_rice", "cifar10_fast", "mnist_madry"))
    assert (rice.attack.eps, rice.attack.step_size) == (8 / 255, 2 / 255)
    assert (fast.attack.steps, fast.attack.step_size) == (1, 10 / 255)
    assert madry.training.epochs * 60_000 / madry.training.batch_size == pytest.approx(
        1e5, rel=0.01
    )
    article = by_name["article"]
    assert (article.attack.eps, article.attack.step_size, article.attack.start) == (
        0.01,
        0.01,
        "zero",
    )
    assert not re.search(r"\t| +$", "".join(p.read_text() for p in [*CONFIGS, *SWEEPS]), re.M)
