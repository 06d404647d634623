"""From a path to its verdict: a run's directory, or any CSV of epochs. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from advtrain.config.identity import identity
from advtrain.config.load import load_config
from advtrain.config.names import DATASETS
from advtrain.diagnosis.seeds import Seeds, over_seeds
from advtrain.diagnosis.table import Labels, Table
from advtrain.diagnosis.verdict import AXES, Verdict, diagnose
from advtrain.errors import AdvtrainError
from advtrain.store.foreign import read_curves
from advtrain.store.run import runs_below
from advtrain.store.status import is_run, read_status


@dataclass(frozen=True)
class Result:
    """A path with its table, today's verdict on it, and what changed since it was last judged."""

    path: Path
    table: Table
    verdict: Verdict
    changed: tuple[str, ...] = ()  # since verdict.json was written by older rules

    def to_json(self) -> dict[str, Any]:
        """An element of `diagnose --json`, and the object of verdict.json."""
        return {"path": str(self.path), **self.verdict.to_json()}


def parse_columns(arguments: list[str]) -> dict[str, str]:
    """`NAME=COLUMN` arguments as a mapping; AdvtrainError for anything else."""
    found: dict[str, str] = {}
    for argument in arguments:
        name, equals, column = argument.partition("=")
        if not (name and equals and column):
            raise AdvtrainError(f"argument '--columns {argument}': expected NAME=COLUMN")
        if name in found:
            raise AdvtrainError(f"argument '--columns {argument}': {name} is given twice")
        found[name] = column
    return found


def diagnose_all(
    paths: list[Path], renamed: Mapping[str, str] | None = None, classes: int | None = None
) -> list[Result]:
    """The verdict on each run and CSV; a folder stands for the runs, else the CSVs, in it."""
    found = [file for path in paths for file in _expanded(path)]
    if (renamed or classes) and all(is_run(path) for path in found):
        raise AdvtrainError(
            "arguments --columns and --classes: they are about CSVs; a run knows its own"
        )
    return [
        diagnose_run(p) if is_run(p) else diagnose_csv(p, renamed or {}, classes)
        for p in dict.fromkeys(found)
    ]


def _expanded(path: Path) -> list[Path]:
    if is_run(path) or not path.is_dir():
        return [path]
    inside = [run.dir for run in runs_below(path)] or sorted(path.glob("*.csv"))
    if not inside:
        raise AdvtrainError(f"{path}: neither a run nor a folder of runs or CSVs")
    return inside


def diagnose_csv(file: Path, renamed: Mapping[str, str], classes: int | None) -> Result:
    """The verdict on a CSV of epochs that any training wrote."""
    curves = read_curves(file, renamed)
    table = Table(
        curves.epoch,
        curves.columns,
        labels=Labels.balanced(classes) if classes else None,
        bad_epoch=curves.bad_epoch,
        notes=curves.notes,
    )
    return Result(file, table, diagnose(table))


def diagnose_run(path: Path, *, finished: bool | None = None) -> Result:
    """The verdict on a run's directory; `finished` overrides what its status.json says."""
    table = table_of_run(path, finished=finished)
    verdict = diagnose(table, str(path))
    return Result(path, table, verdict, _changes(path, verdict))


def table_of_run(path: Path, *, finished: bool | None = None) -> Table:
    """The curves of a run with all that its files say beside them."""
    status, config = read_status(path), load_config(path / "config.yaml")
    curves = read_curves(path / "metrics.csv")
    provenance = _json(path / "provenance.json")
    labels = _mapping(provenance, "labels")
    images, size = labels.get("test_images"), config.evaluation.size
    whole = []
    if images and images > size:  # the last row, and the parent's last, are measured on all
        whole = [config.training.epochs, _mapping(provenance, "parent").get("epoch", 0)]
        if status and status.stopped == "early_stopping":
            whole.append(status.epoch)
    return Table(
        curves.epoch,
        curves.columns,
        config=config,
        labels=_labels(config.dataset.name, labels),
        images=min(images, size) if images else None,
        whole=tuple(whole),
        finished=finished if finished is not None else bool(status and status.state == "finished"),
        bad_epoch=curves.bad_epoch or (status.bad_epoch if status else None),
    )


def _labels(dataset: str, found: Mapping[str, Any]) -> Labels | None:
    """What the run noted of its training labels; older runs of known datasets: balanced ones."""
    if {"classes", "entropy", "majority"} <= found.keys():
        return Labels(found["classes"], found["entropy"], found["majority"])
    return Labels.balanced(DATASETS[dataset].classes) if dataset in DATASETS else None


def _changes(path: Path, verdict: Verdict) -> tuple[str, ...]:
    """What older rules said otherwise."""
    old = _json(path / "verdict.json")
    new = verdict.to_json()
    if not old or old.get("rules") == new["rules"]:
        return ()
    pairs = [("converged", old.get("converged"), new["converged"])] + [
        (name, _mapping(_mapping(old, "axes"), name).get("state"), new["axes"][name]["state"])
        for name in AXES
    ]
    return tuple(f"{name}: {before} -> {now}" for name, before, now in pairs if before != now)


def _mapping(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A mapping inside another; empty where it is missing or damaged."""
    found = content.get(key)
    return found if isinstance(found, dict) else {}


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def cells(results: list[Result]) -> list[Seeds]:
    """Runs that differ by their seed alone, taken together; only where there are several."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        if (config := result.table.config) is not None:
            parent = _mapping(_json(result.path / "provenance.json"), "parent").get("epoch")
            # Continuations of different seeds have different parents, but go on alike.
            key = identity(config.model_copy(update={"seed": 0}), str(parent) if parent else None)
            groups.setdefault(f"{config.name}/{key}", []).append(result)
    return [
        over_seeds([str(r.path) for r in group], [r.table for r in group],
                   [r.verdict for r in group])
        for group in groups.values()
        if len({r.table.config.seed for r in group if r.table.config}) > 1
    ]  # fmt: skip
