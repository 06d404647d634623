"""Runs, sweeps and CSVs made by hand: their files without any training."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from advtrain import load_config
from advtrain.config.identity import to_yaml
from advtrain.config.schema import Config
from advtrain.records import COLUMNS
from advtrain.store.run_status import Status

CONFIG = """\
name: made
model: {name: mlp, args: {width: 16, depth: 1}}
dataset: {name: digits, train_size: 200}
attack: {eps: 0.1, steps: 2}
optimizer: {name: sgd, lr: 0.05}
schedule: {name: constant}
training: {epochs: 20, batch_size: 32}
evaluation: {steps: 2, size: 40}
"""


def learning(epochs: int, level: float = 0.6, seed: int = 0) -> dict[str, np.ndarray]:
    """Curves of a training that learns and comes to rest at an accuracy of `level`."""
    rng = np.random.default_rng(seed)
    at = np.arange(epochs)
    rise = 1 - np.exp(-at / max(epochs / 12, 1))
    found: dict[str, np.ndarray] = {"lr": np.full(epochs, 0.05), "eps": np.full(epochs, 0.1)}
    for split, shift in (("train", 0.05), ("val", 0.0), ("test", 0.0)):
        for kind, more in (("clean", 0.2), ("robust", 0.0)):
            noise = rng.normal(0, 0.0005, (2, epochs))
            found[f"{split}_{kind}_acc"] = 0.1 + (level + more + shift - 0.1) * rise + noise[0]
            found[f"{split}_{kind}_loss"] = 2.3 - (1.1 + more + shift) * rise + noise[1]
    found["test_fgsm_acc"] = found["test_robust_acc"] + 0.03
    found["test_robust_loss_2x"] = found["test_robust_loss"] + 0.01
    found["fosc_train"] = found["fosc_test"] = np.full(epochs, 0.01)
    found["grad_norm"], found["weight_norm"] = np.full(epochs, 1.5), 5 + rise
    found["images_per_second"], found["seconds"] = np.full(epochs, 1e3), np.full(epochs, 1.0)
    return found


def at_chance(curves: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same with the losses and accuracies of one that guesses among ten classes."""
    levels = {"acc": 0.1, "loss": 2.3026}
    return {
        name: np.full(len(values), levels.get(name.rpartition("_")[2], 0.0))
        if name.endswith(("_acc", "_loss")) else values
        for name, values in curves.items()
    }  # fmt: skip


def write_csv(file: Path, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> Path:
    """A CSV of epochs; NaN is an empty cell."""
    names = list(columns)
    rows = zip(*columns.values(), strict=True)
    with file.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["epoch", *names])
        for epoch, row in enumerate(rows, 1):
            writer.writerow([epoch, *("" if v != v else repr(float(v)) for v in row)])
    return file


def write_run(
    folder: Path,
    columns: Mapping[str, np.ndarray],
    *overrides: str,
    name: str = "",
    text: str = CONFIG,
    **status: Any,
) -> Path:
    """A run's directory with these curves; `status` changes fields of status.json."""
    epochs = len(next(iter(columns.values()), []))
    file = folder / "made.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    config = load_config(file, [f"epochs={max(epochs, 1)}", *overrides])
    file.unlink()
    label = "-".join(o.replace("=", "").replace("/", "_") for o in overrides if "seed" not in o)
    run = folder / (name or f"{label or 'run'}-s{config.seed}-{0:08x}")
    run.mkdir(parents=True)
    (run / "status.json").write_text(
        Status(**(write_files(run, config, columns) | status)).to_json()
    )
    return run


def write_files(run: Path, config: Config, columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The files of a finished run in its directory, but for status.json, whose fields these are."""
    epochs = len(next(iter(columns.values()), []))
    (run / "config.yaml").write_text(to_yaml(config))
    full = {c: columns.get(c, np.full(epochs, np.nan)) for c in COLUMNS if c != "epoch"}
    full["step"] = np.arange(1, epochs + 1) * 7
    if epochs:
        write_csv(run / "metrics.csv", full)
    validation = columns.get("val_robust_acc", np.array([]))
    best = int(np.nanargmax(validation)) + 1 if np.isfinite(validation).any() else 0
    labels = {"classes": 10, "entropy": 2.302585, "majority": 0.1, "test_images": 40}
    session = {"began": "2026-01-01T00:00:00+0000", "device": "cpu", "threads": 1, "seconds": 9.5}
    (run / "provenance.json").write_text(json.dumps({"labels": labels, "sessions": [session]}))
    return {"state": "finished", "attempt": 1, "host": "h", "pid": 1, "heartbeat": 1e9,
            "epoch": epochs, "epochs": epochs, "best_epoch": best}  # fmt: skip


def write_grid(folder: Path, epochs: int = 40, **run: Any) -> Path:
    """Six runs, 3 lr x 2 seeds, of which the last lr is stuck at chance."""
    for lr in ("0.01", "0.05", "0.5"):
        for seed in (0, 1):
            level = 0.1 if lr == "0.5" else 0.5 + 10 * float(lr) / 5 + 0.02 * seed
            curves = learning(epochs, level, seed)
            if lr == "0.5":
                curves = at_chance(curves)
            curves["lr"] = np.full(epochs, float(lr))
            write_run(folder, curves, f"lr={lr}", f"seed={seed}", **run)
    return folder


def write_sweep(folder: Path) -> Path:
    """The grid with a sweep's table, in which one more run of lr 0.05 has yet to begin."""
    write_grid(folder)
    sweep = folder / "sweeps" / "0123abcd"
    sweep.mkdir(parents=True)
    rows = [["lr", "seed", "state", "run_dir", "error"]]
    for run in sorted(folder.glob("lr*")):
        lr, seed = run.name.split("-")[0][2:], run.name.split("-s")[1][0]
        rows.append([lr, seed, "finished", f"/elsewhere/{run.name}", ""])  # it was moved
    rows.append([".05", "2", "queued", str(folder / "lr0.05-s2-00000000"), ""])
    with (sweep / "sweep.csv").open("w", newline="") as out:
        csv.writer(out).writerows(rows)
    return sweep


def write_evaluation(
    run: Path, accuracies: Mapping[str, float], warned: Mapping[str, str] | None = None, **row: Any
) -> Path:
    """A run's evaluation.csv of these attacks, on 1000 images at eps 0.1 unless `row` says so.

    Rows are added to those that are there.
    """
    file = run / "evaluation.csv"
    begun = file.exists()
    with file.open("a", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        if not begun:
            writer.writerow(["checkpoint", "epoch", "weights", "norm", "eps", "attack", "images",
                             "accuracy", "se", "seconds", "warnings", "sha"])  # fmt: skip
        for attack, accuracy in accuracies.items():
            fields = {"checkpoint": "best", "epoch": 7, "weights": "model", "norm": "linf",
                      "eps": 0.1, "attack": attack, "images": 1000, "accuracy": accuracy,
                      "se": 0.0125, "seconds": 1.5, "warnings": (warned or {}).get(attack, ""),
                      "sha": "0123abcd"}  # fmt: skip
            writer.writerow((fields | row).values())
    return file
