"""From a path to its verdict: a run's directory, or any CSV of epochs. Imports no torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from advtrain.config.identity import recipe
from advtrain.config.json_file import read_object
from advtrain.config.names import DATASETS
from advtrain.config.schema import Config
from advtrain.diagnosis.seeds import Seeds, over_seeds
from advtrain.diagnosis.table import Labels, Table
from advtrain.diagnosis.verdict import AXES, Verdict, diagnose, unjudged
from advtrain.errors import AdvtrainError
from advtrain.store.csv_cells import Cells, read_cells
from advtrain.store.epoch_csv import Curves, curves_in, read_curves
from advtrain.store.missing import cannot_go_on, missing_files
from advtrain.store.parent import saved_epochs
from advtrain.store.provenance import SAME_IMAGES
from advtrain.store.reader import RunFiles, read_files, runs_below
from advtrain.store.run_status import Status, is_run, read_status, why_no_status

_NO_PROVENANCE = (
    "provenance.json is missing: the number of test images, the labels and the run that this one "
    "goes on from are not known"
)


@dataclass(frozen=True)
class Diagnosis:
    """A path, today's verdict on it, and what changed since it was last judged.

    There is no table of a run that has no epoch yet, or a file that cannot be read. `files` are
    those of a run.
    """

    path: Path
    table: Table | None
    verdict: Verdict
    changed: tuple[str, ...] = ()  # since verdict.json was written by older rules
    files: RunFiles | None = None
    error: str = ""  # why there is no table, with the path

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
) -> list[Diagnosis]:
    """The verdict on each run and CSV; a folder stands for the runs, else the CSVs, in it.

    Raises AdvtrainError for paths that cannot be judged, a line each; what cannot be among the
    contents of a folder gets a verdict that says so.
    """
    found = {file: named for path in paths for file, named in _expanded(path)}
    if (renamed or classes) and all(is_run(path) for path in found):
        raise AdvtrainError(
            "arguments --columns and --classes: they are about CSVs; a run knows its own"
        )
    results = [
        judged(read_files(path)) if is_run(path) else _judged_csv(path, renamed or {}, classes)
        for path in found
    ]
    wrong = [result.error for result in results if result.error and found[result.path]]
    if wrong:
        raise AdvtrainError("\n".join(dict.fromkeys(wrong)))
    return results


def judged(files: RunFiles) -> Diagnosis:
    """The verdict on a run, or one that says why there is none."""
    try:
        return diagnose_files(files)
    except AdvtrainError as error:
        return _not_judged(files.path, error, files)


def _judged_csv(file: Path, renamed: Mapping[str, str], classes: int | None) -> Diagnosis:
    try:
        return diagnose_csv(file, renamed, classes)
    except AdvtrainError as error:
        return _not_judged(file, error)


def _not_judged(path: Path, error: AdvtrainError, files: RunFiles | None = None) -> Diagnosis:
    text = "; ".join(str(error).splitlines()).removeprefix(f"{path}: ")
    return Diagnosis(path, None, unjudged(text), error=str(error), files=files)


def check_any_judged(results: Sequence[Diagnosis]) -> None:
    """AdvtrainError, with the reason of each, if there is a verdict on none of them."""
    if all(result.table is None for result in results):
        raise AdvtrainError("\n".join(dict.fromkeys(result.error for result in results)))


def _expanded(path: Path) -> list[tuple[Path, bool]]:
    """The runs or CSVs that a path stands for, each with whether it was named itself."""
    try:
        folder = path.is_dir()
    except OSError:  # reading it will say why
        folder = False
    if is_run(path) or not folder:
        return [(path, True)]
    inside = [run.dir for run in runs_below(path)] or sorted(path.glob("*.csv"))
    if not inside:
        raise AdvtrainError(f"{path}: neither a run nor a folder of runs or CSVs")
    return [(each, False) for each in inside]


def diagnose_csv(file: Path, renamed: Mapping[str, str], classes: int | None) -> Diagnosis:
    """The verdict on a CSV of epochs that any training wrote."""
    return diagnose_cells(read_cells(file), renamed, classes)


def diagnose_cells(cells: Cells, renamed: Mapping[str, str], classes: int | None) -> Diagnosis:
    """The same of a CSV that was read already."""
    curves = curves_in(cells, renamed, classes)
    table = Table(
        curves.epoch,
        curves.columns,
        labels=Labels.balanced(classes, assumed=True) if classes else None,
        bad_epoch=curves.bad_epoch,
        notes=curves.notes,
    )
    return Diagnosis(cells.file, table, diagnose(table))


def diagnose_run(path: Path, *, state: str = "") -> Diagnosis:
    """The verdict on a run's directory; `state` overrides what its status.json says."""
    return diagnose_files(read_files(path), state=state)


def diagnose_files(files: RunFiles, *, state: str = "") -> Diagnosis:
    """The same of a run whose small files were read already.

    Raises AdvtrainError if there is no epoch yet, or config or curves cannot be read.
    """
    path, status = files.path, files.status
    if status is None:
        raise AdvtrainError(f"{path}: its {why_no_status(path)}")
    missing = missing_files(path, status, files.provenance)
    if "metrics.csv" in missing:
        raise AdvtrainError(f"{path}: {cannot_go_on(path, status)}")
    if not (path / "metrics.csv").exists():
        why = f": {status.error}" if status.error else ""
        raise AdvtrainError(f"{path}: no epochs yet ({status.shown}{why})")
    if isinstance(files.config, AdvtrainError):
        raise files.config
    curves = read_curves(path / "metrics.csv")
    if int(curves.epoch[-1]) < status.epoch:
        raise AdvtrainError(
            f"{path}: metrics.csv ends with epoch {curves.epoch[-1]}, though {status.epoch} epochs "
            "are done; restore the file"
        )
    table = table_of_run(curves, files.config, status, files.provenance, state)
    waits = table.parent is None or _waits(Path(table.parent), table.carried)
    table = replace(table, weights=(path / "last.pt").is_file(), parent_waits=waits)
    if "provenance.json" in missing:
        table = replace(table, notes=(*table.notes, _NO_PROVENANCE))
    verdict = diagnose(table, str(path))
    return Diagnosis(path, table, verdict, _changes(path, verdict), files)


def table_of_run(
    curves: Curves, config: Config, status: Status, provenance: Mapping[str, Any], state: str = ""
) -> Table:
    """The curves of a run with all that is known beside them.

    `state` is what the run counts as, by default what its status says.
    """
    labels, parent = _mapping(provenance, "labels"), _mapping(provenance, "parent")
    images, size = _count(labels.get("test_images")), config.evaluation.size
    carried = _count(parent.get("epoch")) or 0
    whole: list[int] = []
    if images and images > size:
        whole = _counts(parent.get("whole", [carried]))
        if not provenance.get(SAME_IMAGES):  # the last row of older versions
            whole.append(config.training.epochs)
            if status.stopped not in ("", "nonfinite"):
                whole.append(status.epoch)
    return Table(
        curves.epoch,
        curves.columns,
        config=config,
        labels=_labels(config.dataset.name, labels),
        images=min(images, size) if images else None,
        whole=tuple(whole),
        test_images=images,
        parent=str(parent["run"]) if "run" in parent else None,
        carried=carried,
        changed=tuple(map(str, _list(parent.get("changed")))),
        state=state or status.shown,
        bad_epoch=status.bad_epoch if curves.bad_epoch is None else curves.bad_epoch,
        notes=tuple(map(str, _list(provenance.get("doubts")))),
    )


def _waits(parent: Path, epoch: int) -> bool:
    """Whether a run's weights are still those after this epoch."""
    status = read_status(parent)
    return status is not None and saved_epochs(status) == epoch and (parent / "last.pt").is_file()


def _labels(dataset: str, found: Mapping[str, Any]) -> Labels | None:
    """What the run noted of its training labels; older runs of known datasets: balanced ones."""
    classes = _count(found.get("classes"))
    entropy, majority = (_positive(found.get(key)) for key in ("entropy", "majority"))
    if classes and entropy and majority:
        return Labels(classes, entropy, majority)
    return Labels.balanced(DATASETS[dataset].classes) if dataset in DATASETS else None


def _positive(value: object) -> float | None:
    """A positive finite number, or None for anything else in a damaged file."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if 0 < value <= sys.float_info.max else None


def _count(value: object) -> int | None:
    """A positive whole number, or None for anything else."""
    return value if isinstance(value, int) and _positive(value) else None


def _counts(values: object) -> list[int]:
    return [count for value in _list(values) if (count := _count(value))]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _changes(path: Path, verdict: Verdict) -> tuple[str, ...]:
    """What older rules said otherwise."""
    old = read_object(path / "verdict.json") or {}
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


def cells(results: list[Diagnosis]) -> list[Seeds]:
    """Runs that differ by their seed alone, taken together; only where there are several."""
    groups: dict[str, list[tuple[Diagnosis, Table]]] = {}
    for result in results:
        if (table := result.table) is not None and table.config is not None:
            config = table.config
            # Continuations of different seeds have different parents, but go on alike.
            cell = json.dumps([config.name, recipe(config), table.carried], sort_keys=True)
            groups.setdefault(cell, []).append((result, table))
    return [
        over_seeds([str(r.path) for r, _ in group], [t for _, t in group],
                   [r.verdict for r, _ in group])
        for group in groups.values()
        if len({t.config.seed for _, t in group if t.config}) > 1
    ]  # fmt: skip
