"""What `advtrain train` prints with --print-config or --dry-run. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from advtrain.config.checks import cautions
from advtrain.config.identity import to_yaml
from advtrain.config.names import DATASETS, in_words
from advtrain.config.objectives import Fgsm, Free, Standard, resolve_alpha
from advtrain.config.schema import Config
from advtrain.store.missing import cannot_go_on, missing_files
from advtrain.store.naming import locate
from advtrain.store.parent import Parent
from advtrain.store.run_status import read_status


def print_resolved(config: Config, runs_dir: Path, from_run: Path | None) -> None:
    """The whole config as YAML."""
    _, config, _ = locate(config, runs_dir, from_run)
    print(to_yaml(config), end="")


def print_plan(
    config: Config, runs_dir: Path, from_run: Path | None, resume: str,
    notes: Sequence[str], warnings: Sequence[str],
) -> None:  # fmt: skip
    """What `train` would do; `notes` and `warnings` are about data and model of the user's own."""
    path, config, parent = locate(config, runs_dir, from_run)
    training = config.training
    lines = [
        ("directory", str(path)),
        ("would", _would(path, parent, resume)),
        ("model", f"{config.model.name} on {config.dataset.name}"),
        *(("data", text) for text in notes or _known(config)),
        ("attack", attack_line(config)),
        (
            "training",
            f"{training.epochs} epochs, batches of {training.batch_size}, "
            f"{config.optimizer.name} at {config.optimizer.lr:g}, {config.schedule.name}",
        ),
        *(("caution", text) for text in (*cautions(config), *warnings)),
    ]
    for word, text in lines:
        print(f"{word:<10} {text}")


def _would(path: Path, parent: Parent | None, resume: str) -> str:
    """What becomes of the run in this directory."""
    status = read_status(path)
    if status is not None and resume == "never":
        return f"refuse: the run exists ({status.shown})"
    if reason := cannot_go_on(path, status):
        return f"refuse: {reason}"
    if status is None:
        if parent:
            return f"go on from epoch {parent.epoch} of {parent.path}"
        return "start a new run" if resume != "require" else "refuse: there is no such run"
    if status.state == "finished":
        lost = [n for n in missing_files(path, status) if n in ("config.yaml", "verdict.json")]
        doing = f"write {' and '.join(lost)} again, and nothing else" if lost else "nothing"
        return f"{doing}: the run is finished"
    within = f", from within epoch {status.epoch + 1}" if (path / "part.pt").exists() else ""
    return f"go on after epoch {status.epoch} ({status.shown}){within}"


def _known(config: Config) -> list[str]:
    """The size of a dataset that comes with advtrain, which need not be loaded."""
    if (info := DATASETS.get(config.dataset.name)) is None:
        return []
    shape = "x".join(map(str, info.shape))
    sizes = f"{info.train} training and {info.test} test images of {shape}"
    return [sizes, in_words(info.class_names)]


def attack_line(config: Config) -> str:
    """The attack that the config's objective trains on, and that of the evaluation."""
    attack, steps = config.attack, config.evaluation.steps
    ball = f"{attack.norm}, eps {attack.eps:g}"
    if isinstance(config.objective, Standard):
        return f"no attack in training (standard); evaluated with {ball}, {steps} steps"
    return f"{ball}, {_trained_on(config)} ({config.objective.name}); evaluated with {steps} steps"


def _trained_on(config: Config) -> str:
    """How the training's adversarial examples are found."""
    attack, keys = config.attack, config.objective
    if isinstance(keys, Fgsm):
        starts = {
            "zero": "the image", "uniform": "a uniform start",
            "noise": f"noise of up to {keys.noise:g} eps, without projection",
        }  # fmt: skip
        size = resolve_alpha(keys.step, attack.eps, 1)
        return f"one step of {size:g} from {starts[keys.start]}"
    if isinstance(keys, Free):
        size = resolve_alpha(keys.alpha, attack.eps, 1)
        return f"one step of {size:g} after each of {keys.replays} replays of a batch"
    start = "the image" if attack.start == "zero" else "a uniform start"
    count = "one step" if attack.steps == 1 else f"{attack.steps} steps"
    restarts = f", the strongest of {attack.restarts}" if attack.restarts > 1 else ""
    return f"{count} of {attack.step_size:g} from {start}{restarts}"
