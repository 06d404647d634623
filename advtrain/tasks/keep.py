"""What is written of a run: at its beginning, after each epoch, and at its end."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import NamedTuple

from advtrain.config.identity import to_yaml
from advtrain.config.json_file import read_object
from advtrain.config.schema import Config
from advtrain.diagnosis.verdict import Verdict, diagnose
from advtrain.errors import AdvtrainError
from advtrain.learning.measuring.image_examples import attacked
from advtrain.process.observer import Observer
from advtrain.records import COLUMNS, EpochRecord, Row, SplitScore
from advtrain.store import checkpoint, examples_npz, final_csv, provenance
from advtrain.store.csv_cells import Cells
from advtrain.store.epoch_csv import curves_in
from advtrain.store.files import to_csv
from advtrain.store.metrics import CURVE_COLUMNS, read_rows
from advtrain.store.missing import cannot_go_on
from advtrain.store.parent import Parent, schedule_overrides
from advtrain.store.reader import Run
from advtrain.store.writer import RunDirectory, hold
from advtrain.tasks.diagnose import diagnose_run, table_of_run
from advtrain.tasks.prepare import Work


def keep_beginning(work: Work, directory: RunDirectory) -> None:
    """config.yaml and provenance.json, and what a parent hands on."""
    if not (directory.path / "config.yaml").exists():
        _keep_config(work.session.config, work.parent, directory)
    _keep_provenance(work, directory)
    if work.parent_best:
        directory.write("best.pt", work.parent_best)
    position = work.session.position
    within = f", batch {position.done}" if position else ""
    epoch = f"epoch {work.session.progress.epoch}{within}"
    directory.log(f"attempt {directory.status.attempt}: from {epoch}")


def keep_epoch(work: Work, directory: RunDirectory, record: EpochRecord) -> None:
    """Save an epoch that is done."""
    of = work.session
    work.rows.append(record.row())
    # All before the checkpoint: a kill between them costs the epoch, nothing else.
    directory.write("metrics.csv", to_csv(COLUMNS, work.rows))
    if of.progress.stopped != "nonfinite":
        _keep_examples(work, directory)
        _keep_weights(work, directory)
    _keep_provenance(work, directory)
    directory.set_status(epoch=record.epoch, best_epoch=of.progress.best_epoch)
    directory.log(record.line(of.config.training.epochs))


class End(NamedTuple):
    """What is measured of the last weights: rows of final.csv and of curve_eps.csv."""

    splits: list[SplitScore]
    curve: list[tuple[float, float, float, int]]


def keep_end(work: Work, directory: RunDirectory, end: End) -> None:
    """What the last weights come to, the verdict, and that the run is finished."""
    progress = work.session.progress
    directory.remove("part.pt")  # of an epoch that ended as not finite, or just before a kill
    if end.splits:
        directory.write(final_csv.FILE, final_csv.to_bytes(end.splits))
    if end.curve:
        directory.write("curve_eps.csv", to_csv(CURVE_COLUMNS, end.curve))
    if progress.stopped == "nonfinite":
        directory.set_status(bad_epoch=progress.epoch, bad_batch=progress.bad_batch)
    directory.set_status(stopped=progress.stopped)  # it tells which rows are measured alike
    _keep_verdict(judge(work, directory, work.rows, "finished"), directory)
    directory.set_status(state="finished")


def mend(path: Path, config: Config, parent: Parent | None, observer: Observer) -> None:
    """Write again what a finished run has lost and the rest of it tells, and say so.

    Raises AdvtrainError if epochs are missing from metrics.csv, which nothing else tells.
    """
    if reason := cannot_go_on(path, status := Run(path).status):
        raise AdvtrainError(f"{path}: {reason}")
    read_rows(path / "metrics.csv", status.epoch)
    no_config = not (path / "config.yaml").exists()
    no_verdict = not read_object(path / "verdict.json")
    if not (no_config or no_verdict):
        return
    with hold(path) as directory:
        directory.status = status
        if no_config:
            observer.warn(f"{path}: config.yaml is missing, and is written again")
            _keep_config(config, parent, directory)
        if no_verdict:
            observer.warn(f"{path}: verdict.json is missing or damaged, and is written again")
            _keep_verdict(diagnose_run(path, state="finished").verdict, directory)


def _keep_config(config: Config, parent: Parent | None, directory: RunDirectory) -> None:
    header = _header(config, parent, directory.path)
    directory.write("config.yaml", to_yaml(config, header).encode())


def _keep_verdict(verdict: Verdict, directory: RunDirectory) -> None:
    content = {"path": str(directory.path), **verdict.to_json()}
    directory.write("verdict.json", json.dumps(content, indent=1, allow_nan=False).encode())
    directory.log(f"verdict: {verdict.headline}")


def hopeless(work: Work, directory: RunDirectory, record: EpochRecord) -> str:
    """The first of `training.stop_on` that the verdict finds in the epochs so far, if any."""
    looked_for = work.session.config.training.stop_on
    if not looked_for:
        return ""
    axes = judge(work, directory, [*work.rows, record.row()], "running").axes.values()
    return next((axis.state for axis in axes if axis.state in looked_for), "")


def judge(work: Work, directory: RunDirectory, rows: list[Row], state: str) -> Verdict:
    """The verdict on the epochs so far, as `advtrain diagnose` would read it from the files."""
    lines = [*range(2, len(rows) + 2)]
    curves = curves_in(Cells(directory.path / "metrics.csv", ",", [*COLUMNS], rows, lines))
    table = table_of_run(curves, work.session.config, directory.status, work.provenance, state)
    return diagnose(table, str(directory.path))


def _header(config: Config, parent: Parent | None, path: Path) -> str:
    """The first lines of config.yaml: how to go on with the run, and how to repeat it."""
    here = shlex.join(["advtrain", "train", str(path)])
    again = ["advtrain", "train", f"{path}/config.yaml", "--runs-dir", "again"]
    if parent:
        again += ["--from", str(parent.path), *schedule_overrides(config)]
    return f"Made by advtrain. Go on with: {here}\nRepeat elsewhere with: {shlex.join(again)}"


def _keep_examples(work: Work, directory: RunDirectory) -> None:
    """examples.npz, if this epoch is the run's own first, the best so far, or the last."""
    of = work.session
    epoch = of.progress.epoch
    stages = {
        "first": epoch == of.progress.carried + 1,
        "best": epoch == of.progress.best_epoch,
        "last": of.done,
    }
    if any(stages.values()) and (found := attacked(of.model, work.fixed, of.config)):
        for name in (name for name, reached in stages.items() if reached):
            work.shown.put(name, epoch, of.config.attack.eps, **vars(found))
        directory.write("examples.npz", examples_npz.to_bytes(work.shown))


def _keep_weights(work: Work, directory: RunDirectory) -> None:
    """last.pt, best.pt if this epoch is the best, and the kept ones; part.pt has served."""
    of = work.session
    epoch, every = of.progress.epoch, of.config.training.keep_every
    content = checkpoint.to_bytes(of.model, of.optimizer, of.progress, of.average)
    if of.progress.best_epoch == epoch:
        directory.write("best.pt", content)
    if every and epoch % every == 0:
        directory.write(f"epoch{epoch:05d}.pt", content)
    directory.write("last.pt", content)
    directory.remove("part.pt")


def _keep_provenance(work: Work, directory: RunDirectory) -> None:
    work.provenance["sessions"][-1]["seconds"] = round(time.perf_counter() - work.began, 3)
    directory.write("provenance.json", provenance.to_bytes(work.provenance))
