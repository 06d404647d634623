"""One config in one run directory: wires learning, diagnosis and store together."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from advtrain.config.checks import cautions
from advtrain.config.identity import to_yaml
from advtrain.config.load import load_config
from advtrain.config.names import MODELS
from advtrain.config.schema import Config
from advtrain.diagnose import diagnose_run
from advtrain.errors import AdvtrainError
from advtrain.learning.data.splits import Data, load_data
from advtrain.learning.device import choose_device, device_name, keep_memory, suit_threads
from advtrain.learning.examples import Fixed, attacked, fixed_images
from advtrain.learning.measure import curve
from advtrain.learning.models import build_model
from advtrain.learning.optimizer import averaged, build_optimizer
from advtrain.learning.streams import preserved, seed_of
from advtrain.learning.train import check_replays, train_epochs
from advtrain.observer import Observer
from advtrain.records import EpochRecord, Progress, Row
from advtrain.store import checkpoint, examples, metrics, provenance
from advtrain.store.naming import locate
from advtrain.store.parent import Parent, schedule_overrides
from advtrain.store.run import Run
from advtrain.store.rundir import RunDirectory, hold, outcome_in
from advtrain.store.status import Status, is_run, read_status

Resume = Literal["auto", "never", "require"]


def train(
    config: Config,
    runs_dir: str | Path = "runs",
    *,
    device: str = "auto",
    resume: Resume = "auto",
    from_run: str | Path | None = None,
    observer: Observer | None = None,
) -> Run:
    """Train a config to its end in its own directory below `runs_dir`, or go on where it stopped.

    A finished run is returned as it is. Raises AdvtrainError (and its kinds, see errors.py);
    a run that diverges is a finding and raises nothing.
    """
    observer = observer or Observer()
    path, config, parent = locate(
        config, Path(runs_dir), Path(from_run) if from_run is not None else None
    )
    exists = is_run(path)
    if resume == "never" and exists:
        raise AdvtrainError(f"{path}: this run exists, and --resume never was asked for")
    if resume == "require" and not exists:
        raise AdvtrainError(f"{path}: no such run, and --resume require was asked for")
    for caution in cautions(config):
        observer.warn(caution)
    if _finished(read_status(path)):  # also where nothing may be written
        if load_config(path / "config.yaml").dataset.root != config.dataset.root:
            _record(config, load_data(config.dataset, torch.device("cpu")), path, parent)
        return Run(path)
    with hold(path) as directory, preserved():
        if not _finished(directory.before):
            work = _prepare(config, device, directory, parent, observer)
            directory.begin(epoch=work.progress.epoch, epochs=config.training.epochs)
            with outcome_in(directory):
                _train(work, directory, observer)
    return Run(path)


def _finished(status: Status | None) -> bool:
    return status is not None and status.state == "finished"


@dataclass(frozen=True)
class _Work:
    config: Config
    data: Data
    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    progress: Progress
    rows: list[Row]  # of the epochs done
    provenance: dict[str, Any]
    parent: Parent | None
    parent_best: bytes | None  # its best.pt, unless this run has gone on from it before
    fixed: Fixed  # the images that `shown` is about
    shown: examples.Examples


def _prepare(
    config: Config, device: str, directory: RunDirectory, parent: Parent | None, observer: Observer
) -> _Work:
    """Everything that can fail on a user's mistake, before the directory is touched."""
    where, path = choose_device(device), directory.path
    data = load_data(config.dataset, where)
    check_replays(config, len(data.train))
    record = _record(config, data, path, parent)
    torch.manual_seed(seed_of(config.seed, "init"))
    model = build_model(
        config.model.name, in_shape=data.shape, num_classes=data.num_classes, **config.model.args
    )
    suit_threads(model, data.shape)
    keep_memory(where)
    if config.model.normalize:
        model.normalize.fit(data.mean, data.std)
    if config.model.weights:
        checkpoint.load_weights(Path(config.model.weights), model)
    model.to(where)
    if config.model.name in MODELS:  # others may rely on the usual strides, by view() for example
        model.to(memory_format=torch.channels_last)  # pooling is several times faster on CPUs
    optimizer = build_optimizer(model, config.optimizer)
    average = averaged(model, config.training.ema) if config.training.ema else None
    progress, rows, best = Progress(), [], None
    if (path / "last.pt").exists():
        progress = checkpoint.restore(path / "last.pt", model, optimizer, average)
        rows = metrics.read_rows(path / "metrics.csv", progress.epoch)
    elif parent:
        progress, rows, best = _take_over(parent, config, model, optimizer, average, observer)
    now = provenance.session(
        str(where), device_name(where), config.training.precision, config.training.compile
    )
    for text in provenance.differences(record["sessions"][-1], now) if record["sessions"] else []:
        observer.warn(f"resumed on different terms, so the figures may differ slightly: {text}")
    record["sessions"].append(now)
    fixed = fixed_images(data.test, data.shape)
    shown = _shown(fixed, config, path, progress.epoch, observer)
    return _Work(config, data, model, optimizer, average, progress, rows, record, parent, best,
                 fixed, shown)  # fmt: skip


def _shown(
    fixed: Fixed, config: Config, path: Path, epoch: int, observer: Observer
) -> examples.Examples:
    """What examples.npz holds of the epochs done; nothing, and a warning, if it is damaged."""
    label = fixed.batch.y.cpu().numpy()
    shown = examples.of_images(config.attack.norm, fixed.kept, label, fixed.index)
    try:
        shown.go_on(path / "examples.npz", epoch)
    except AdvtrainError as error:
        observer.warn(f"{error}. It is begun anew, without the stages before epoch {epoch + 1}")
    return shown


def _record(config: Config, data: Data, path: Path, parent: Parent | None) -> dict[str, Any]:
    """The run's provenance: begun, or what is there, made sure to be about the same images."""
    record = provenance.read(path) or {
        "identity": path.name.rpartition("-")[2],
        "parent": _lineage(parent, config) if parent else None,
        "config_folder": str(config.origin.folder),
        "seed": config.seed,
        "dataset_checksum": data.checksum,
        "labels": data.labels(),
        "sessions": [],
    }
    if record["dataset_checksum"] != data.checksum:
        raise AdvtrainError(
            f"{path}: the images of {config.dataset.name} are not those that this run began with "
            "(checksum in provenance.json); give the new ones a run of their own with name=..."
        )
    return record


def _lineage(parent: Parent, config: Config) -> dict[str, Any]:
    """What a verdict has to know of the run that this one goes on from."""
    before = provenance.read(parent.path).get("parent") or {}
    trained_on = ("dataset", "attack", "objective", "optimizer")
    return {
        "run": str(parent.path),
        "epoch": parent.epoch,
        "changed": [s for s in trained_on if getattr(config, s) != getattr(parent.config, s)],
        # The rows taken over that are measured on all images.
        "whole": [*before.get("whole", []), *([parent.epoch] if parent.finished else [])],
    }


def _take_over(
    parent: Parent,
    config: Config,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: AveragedModel | None,
    observer: Observer,
) -> tuple[Progress, list[Row], bytes | None]:
    """The parent's weights, its rows, and its best.pt if it has one."""
    same = type(parent.config.optimizer) is type(config.optimizer)
    last, best = parent.path / "last.pt", parent.path / "best.pt"
    progress = checkpoint.restore(last, model, optimizer if same else None, average)
    if progress.epoch != parent.epoch:  # killed between the two files
        raise AdvtrainError(
            f"{last}: is of epoch {progress.epoch}, but status.json says {parent.epoch}; "
            "let that run go on first"
        )
    if not same:
        observer.warn(f"the optimizer starts afresh: {parent.path} used another")
    # A best epoch only compares with others that were measured alike.
    measured = ("dataset", "attack", "objective", "evaluation")
    alike = all(getattr(parent.config, key) == getattr(config, key) for key in measured)
    kept = {"best_epoch", "best_acc", "best_loss"} if alike and best.exists() else set()
    progress = Progress(
        progress.epoch,
        progress.step,
        carried=progress.epoch,
        **{key: getattr(progress, key) for key in kept},
    )
    rows = metrics.read_rows(parent.path / "metrics.csv", progress.epoch)
    return progress, rows, best.read_bytes() if kept else None


def _train(work: _Work, directory: RunDirectory, observer: Observer) -> None:
    """From the first epoch not done to the last, saving after each."""
    config, progress = work.config, work.progress
    began = time.perf_counter()
    if not (directory.path / "config.yaml").exists():
        again = ["advtrain", "train", f"{directory.path}/config.yaml"]
        if work.parent:
            again += ["--from", str(work.parent.path), *schedule_overrides(config)]
        runs_dir = directory.path.parent.parent
        again += ["--runs-dir", str(runs_dir)] if runs_dir != Path("runs") else []
        header = f"Made by advtrain. Repeat with: {shlex.join(again)}"
        directory.write("config.yaml", to_yaml(config, header).encode())
    _write_provenance(work, directory, began)
    if work.parent_best:
        directory.write("best.pt", work.parent_best)
    observer.started(directory.path, config, work.rows)
    directory.log(f"attempt {directory.status.attempt}: from epoch {progress.epoch}")
    for record in train_epochs(
        work.model, work.optimizer, work.data, config, progress, observer.batch,
        average=work.average, hopeless=partial(_hopeless, work, directory),
    ):  # fmt: skip
        work.rows.append(record.row())
        # All before the checkpoint: a kill between them costs the epoch, nothing else.
        directory.write("metrics.csv", metrics.to_csv(work.rows))
        if progress.stopped != "nonfinite":
            _save_examples(work, directory)
            _save(work, directory)
        _write_provenance(work, directory, began)
        directory.set_status(epoch=record.epoch, best_epoch=progress.best_epoch)
        directory.log(record.line(config.training.epochs))
        observer.epoch(record)
    if config.evaluation.eps and progress.stopped != "nonfinite":
        points = curve(work.model, work.data.test, config)
        rows = [[repr(value) for value in point] for point in points]
        directory.write("curve_eps.csv", metrics.to_csv(rows, metrics.CURVE_COLUMNS))
    if progress.stopped == "nonfinite":
        where = f"epoch {progress.epoch}, batch {progress.bad_batch}"
        observer.warn(f"a loss or weight was not finite in {where}: the run ends here")
        directory.set_status(bad_epoch=progress.epoch, bad_batch=progress.bad_batch)
    directory.set_status(stopped=progress.stopped)  # it tells which rows are measured alike
    verdict = diagnose_run(directory.path, state="finished").to_json()
    directory.write("verdict.json", json.dumps(verdict, indent=1, allow_nan=False).encode())
    directory.log(f"verdict: {verdict['headline']}")
    directory.set_status(state="finished")


def _hopeless(work: _Work, directory: RunDirectory, record: EpochRecord) -> str:
    """The first of `training.stop_on` that the verdict finds in the epochs so far, if any."""
    if not work.config.training.stop_on:
        return ""
    directory.write("metrics.csv", metrics.to_csv([*work.rows, record.row()]))
    axes = diagnose_run(directory.path, state="running").verdict.axes.values()
    return next((a.state for a in axes if a.state in work.config.training.stop_on), "")


def _save_examples(work: _Work, directory: RunDirectory) -> None:
    """examples.npz, if this epoch is the run's own first, the best so far, or the last."""
    config, progress = work.config, work.progress
    epoch, last = progress.epoch, progress.epoch == config.training.epochs
    stages = {
        "first": epoch == progress.carried + 1,
        "best": epoch == progress.best_epoch,
        "last": last or bool(progress.stopped),
    }
    if any(stages.values()) and (found := attacked(work.model, work.fixed, config)):
        for name in (name for name, reached in stages.items() if reached):
            work.shown.put(name, epoch, config.attack.eps, **vars(found))
        directory.write("examples.npz", examples.to_bytes(work.shown))


def _save(work: _Work, directory: RunDirectory) -> None:
    """last.pt, best.pt if this epoch is the best, and the kept ones."""
    epoch, keep = work.progress.epoch, work.config.training.keep_every
    content = checkpoint.to_bytes(work.model, work.optimizer, work.progress, work.average)
    if work.progress.best_epoch == epoch:
        directory.write("best.pt", content)
    if keep and epoch % keep == 0:
        directory.write(f"epoch{epoch:05d}.pt", content)
    directory.write("last.pt", content)


def _write_provenance(work: _Work, directory: RunDirectory, began: float) -> None:
    work.provenance["sessions"][-1]["seconds"] = round(time.perf_counter() - began, 3)
    directory.write("provenance.json", provenance.to_bytes(work.provenance))
