"""What a report is about: each argument's runs and CSVs, read once. Imports no torch."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from advtrain.config.identity import recipe
from advtrain.config.schema import Config
from advtrain.config.values import written
from advtrain.diagnosis.table import Floats
from advtrain.diagnosis.verdict import unjudged
from advtrain.errors import AdvtrainError
from advtrain.report.input.evaluations import evaluations_of
from advtrain.store.evaluation_csv import EvaluationRow
from advtrain.store.final_csv import read_final
from advtrain.store.metrics import CURVE_COLUMNS
from advtrain.store.reader import RunFiles, read_files, runs_below
from advtrain.store.run_status import is_run
from advtrain.tasks.diagnose import Diagnosis, check_any_judged, diagnose_all, judged

CSV_STATE = "csv"  # instead of a run's state
WAITING = "queued"


@dataclass(frozen=True)
class Entry:
    """A run, a foreign CSV, or a run that a sweep has yet to begin.

    `state` is as `advtrain status` shows it, or `csv`. `columns` are those of the table, a value
    an epoch. `values` are the config's keys as one types them, without seed, name and paths; of a
    run that has not begun, the swept ones alone. `curve_eps` are rows of eps, robust loss, robust
    accuracy, images; `evaluations` those of evaluation.csv, and `notes` what was wrong with that
    file.
    """

    path: Path
    result: Diagnosis
    state: str
    error: str = ""
    config: Config | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    seed: int | None = None
    best_epoch: int | None = None  # on validation
    final: Mapping[str, float] = field(default_factory=dict)  # by column, on all images
    columns: Mapping[str, Floats] = field(default_factory=dict)
    curve_eps: tuple[tuple[float, float, float, int], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    evaluations: tuple[EvaluationRow, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Side:
    """An argument with what it stands for; two of them are compared."""

    name: str
    entries: tuple[Entry, ...]
    bands: tuple[Mapping[str, str], ...] = ()  # rows of the sweep's bands.csv
    copies: tuple[Path, ...] = ()  # of other runs here, which would count a seed twice


def gather(
    paths: Sequence[Path], renamed: Mapping[str, str] | None = None, classes: int | None = None
) -> list[Side]:
    """A side for each path; `renamed` and `classes` are about CSVs, as for `diagnose`.

    Raises AdvtrainError for a path that is neither a run, a folder of runs or CSVs, a sweep, nor
    a CSV of epochs. What cannot be read inside a folder becomes an entry that says so.
    """
    return [_side(path, renamed or {}, classes) for path in paths]


def gather_latest(runs_dir: Path) -> list[Side]:
    """The sweep or run below a folder that was written to last; AdvtrainError if there is none.

    A run that belongs to a sweep stands for the sweep.
    """
    tables = {file.parent: _rows(file) for file in runs_dir.rglob("sweep.csv")}
    swept = {run: sweep for sweep, rows in tables.items() for run, _ in _swept(sweep, rows)}
    newest = {sweep: _age(sweep / "sweep.csv") for sweep in tables}
    for file in runs_dir.rglob("status.json"):
        shown = swept.get(file.parent.resolve(), file.parent)
        newest[shown] = max(newest.get(shown, 0), _age(file))
    if not newest:
        raise AdvtrainError(
            f"{runs_dir}: no runs here yet; train one with `advtrain train CONFIG`, or name a run, "
            "a folder of runs, or a CSV"
        )
    path = max(newest, key=lambda path: (newest[path], str(path)))
    return [_sweep(path, tables[path]) if path in tables else _side(path, {}, None)]


def is_sweep(path: Path) -> bool:
    """Whether a folder holds a sweep's tables."""
    return (path / "sweep.csv").is_file() and not is_run(path)


def _side(path: Path, renamed: Mapping[str, str], classes: int | None) -> Side:
    if path.name in ("sweep.csv", "cells.csv") and is_sweep(path.parent):
        path = path.parent  # the table stands for the sweep
    if is_sweep(path):
        return _sweep(path, _rows(path / "sweep.csv"))
    found = diagnose_all([path], *_about_csvs(path, renamed, classes))
    if not _has_runs(path):  # runs may have yet to begin
        check_any_judged(found)
    return _distinct(path, [entry_of(result) for result in found])


def _sweep(path: Path, rows: Sequence[Mapping[str, str]]) -> Side:
    """A sweep's runs, by the rows of its table."""
    entries: list[Entry] = []
    for run, row in _swept(path, rows):
        files = read_files(run) if is_run(run) else None
        begun = files is not None and not _waits(files)
        entries.append(entry_of(judged(files)) if files and begun else _not_begun(run, row))
    if not entries:
        raise AdvtrainError(f"{path}/sweep.csv: lists no runs")
    bands = [row for row in _rows(path / "bands.csv") if row.get("text")]
    return replace(_distinct(path, entries), bands=tuple(bands))


def _distinct(path: Path, entries: Sequence[Entry]) -> Side:
    """The entries without those runs that equal another in config, seed and every figure."""
    kept: dict[Any, Entry] = {}
    copies = []
    for entry in entries:
        key: Any = entry.path
        if entry.config is not None and entry.result.table is not None:
            figures = tuple((name, column.tobytes()) for name, column in entry.columns.items())
            key = (entry.seed, tuple(entry.values.items()), entry.state, figures)
        if kept.setdefault(key, entry) is not entry:
            copies.append(entry.path)
    return Side(str(path), tuple(kept.values()), copies=tuple(copies))


def _about_csvs(
    path: Path, renamed: Mapping[str, str], classes: int | None
) -> tuple[Mapping[str, str], int | None]:
    """The options about CSVs, unless the path is a run, which knows its own."""
    return ({}, None) if is_run(path) or _has_runs(path) else (renamed, classes)


def _has_runs(path: Path) -> bool:
    return path.is_dir() and bool(runs_below(path))


def entry_of(result: Diagnosis) -> Entry:
    """All that the files beside a verdict say; what is damaged is left out."""
    path, table, files = result.path, result.table, result.files
    columns = table.columns if table else {}
    if files is None:
        error = "" if table else result.verdict.headline
        return Entry(path, result, CSV_STATE, error, columns=columns)
    status, config = files.status, files.config if isinstance(files.config, Config) else None
    evaluations, notes = evaluations_of(path)
    return Entry(
        path,
        result,
        state=status.shown if status else "unreadable",
        error=" ".join(status.error.split()) if status else result.verdict.headline,
        config=config,
        values=_values(config) if config else {},
        seed=config.seed if config else None,
        best_epoch=status.best_epoch or None if status else None,
        final=_final(path),
        columns=columns,
        curve_eps=tuple(_curve_eps(path / "curve_eps.csv")),
        provenance=files.provenance,
        evaluations=evaluations,
        notes=notes,
    )


def _final(path: Path) -> dict[str, float]:
    """The figures of the last weights on all images, named as the columns of metrics.csv."""
    return {
        f"{score.split}_{name}": getattr(score, name)
        for score in read_final(path).values()
        for name in ("clean_loss", "clean_acc", "robust_loss", "robust_acc")
    }


def _waits(files: RunFiles) -> bool:
    """Whether all that there is of a run is that a job is to train it."""
    return files.status is not None and files.status.attempt == 0


def _not_begun(run: Path, row: Mapping[str, str]) -> Entry:
    """An entry for a row of sweep.csv whose run has no directory, or only waits."""
    keys = list(row)[: list(row).index("seed")]  # the swept ones stand before it
    seed = int(row["seed"]) if row["seed"].isdigit() else None
    state, error = row.get("state") or WAITING, row.get("error") or ""
    said = unjudged(error or "not begun")
    return Entry(run, Diagnosis(run, None, said), WAITING if state != "failed" else state, error,
                 values={key: row[key] for key in keys}, seed=seed)  # fmt: skip


def _swept(
    sweep: Path, rows: Sequence[Mapping[str, str]]
) -> Iterator[tuple[Path, Mapping[str, str]]]:
    """The runs that a sweep's table lists, wherever the whole was moved to, with their rows."""
    for row in rows:
        if not row.get("run_dir") or "seed" not in row:
            continue
        beside = sweep.parent.parent / Path(row["run_dir"]).name
        yield (beside if is_run(beside) else Path(row["run_dir"])).resolve(), row


def _rows(file: Path) -> list[dict[str, str]]:
    """A table of our own; empty where it is missing or damaged."""
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines, restval=""))
    except (OSError, ValueError, csv.Error):
        return []
    return [{str(k): v for k, v in row.items() if isinstance(v, str)} for row in rows]


def _curve_eps(file: Path) -> Iterator[tuple[float, float, float, int]]:
    for row in _rows(file):
        try:
            eps, loss, acc, images = (float(row[name]) for name in CURVE_COLUMNS)
            yield eps, loss, acc, int(images)
        except (KeyError, ValueError, OverflowError):
            continue


def _values(config: Config) -> dict[str, str]:
    """The config's keys, dotted, with their values as one types them."""
    found: dict[str, str] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict) and value:
            for key, inner in value.items():
                walk(inner, f"{path}.{key}" if path else str(key))
        else:
            found[path] = written(value)

    walk(recipe(config), "")
    return found


def _age(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0
