"""One config in one run directory: wires learning, diagnosis and store together."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from advtrain.config.checks import cautions
from advtrain.config.identity import to_yaml
from advtrain.config.load import load_config
from advtrain.config.schema import Config
from advtrain.errors import AdvtrainError
from advtrain.learning.data.splits import load_data
from advtrain.learning.distributed.group import Group
from advtrain.learning.distributed.group import joined as joined  # these also for the command line
from advtrain.learning.distributed.group import noticing as noticing
from advtrain.learning.loop import Tick, train_epochs
from advtrain.learning.measuring.image_examples import attacked
from advtrain.learning.measuring.measure import curve
from advtrain.learning.streams import preserved
from advtrain.process.observer import Observer
from advtrain.process.signals import deferred
from advtrain.records import COLUMNS, EpochRecord, Row
from advtrain.store import checkpoint, examples_npz, provenance
from advtrain.store.files import to_csv
from advtrain.store.metrics import CURVE_COLUMNS
from advtrain.store.naming import locate
from advtrain.store.parent import Parent, schedule_overrides
from advtrain.store.reader import Run
from advtrain.store.run_status import Status, is_run, read_status
from advtrain.store.writer import RunDirectory, hold, outcome_in
from advtrain.tasks.diagnose import diagnose_run
from advtrain.tasks.mid_epoch import Part, following
from advtrain.tasks.prepare import Work, prepare, record_of

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
    a run that diverges is a finding and raises nothing. Under torchrun all processes call this;
    one leads, which alone writes and tells its observer.
    """
    observer = observer or Observer()
    path, config, parent = locate(
        config, Path(runs_dir), Path(from_run) if from_run is not None else None
    )
    with joined() as group, noticing(group):
        if group.leads:
            _lead(config, path, parent, device, resume, observer, group)
        else:
            _follow(config, path, parent, device, group)
    return Run(path)


def _lead(
    config: Config,
    path: Path,
    parent: Parent | None,
    device: str,
    resume: Resume,
    observer: Observer,
    group: Group,
) -> None:
    """The part of the process that writes; of a single one that is all."""
    exists = is_run(path)
    if resume == "never" and exists:
        raise AdvtrainError(f"{path}: this run exists, and --resume never was asked for")
    if resume == "require" and not exists:
        raise AdvtrainError(f"{path}: no such run, and --resume require was asked for")
    for caution in cautions(config):
        observer.warn(caution)
    if _finished(read_status(path)):  # also where nothing may be written
        if load_config(path / "config.yaml").dataset.root != config.dataset.root:
            record_of(config, load_data(config.dataset, torch.device("cpu")), path, parent)
        group.agreed(None)
        return
    with hold(path) as directory, preserved():
        if _finished(directory.before):
            group.agreed(None)
            return
        work = prepare(config, device, path, parent, observer, group)
        group.agreed(_beginning(work))
        group.meet()  # so that no other's mistake comes after the directory is touched
        directory.begin(epoch=work.progress.epoch, epochs=config.training.epochs)
        with outcome_in(directory), noticing(group):
            _train(work, directory, observer, group)


def _follow(config: Config, path: Path, parent: Parent | None, device: str, group: Group) -> None:
    """The part of a process that another leads: the same training, of which nothing is written."""
    with preserved():
        leaders = group.agreed(("", 0))
        if leaders is None:
            return
        work = prepare(config, device, path, parent, Observer(), group)
        if _beginning(work) != leaders:
            raise AdvtrainError(
                f"{path}: process {group.rank} of this run finds other images or another last.pt "
                "than process 0; expected all machines to see the same folders"
            )
        group.meet()
        for _ in _epochs(work, group, following(group)):
            pass
        _curve(work, group)


def _beginning(work: Work) -> tuple[str, int]:
    """What all processes have to begin with alike."""
    return work.data.checksum, work.progress.step


def _finished(status: Status | None) -> bool:
    return status is not None and status.state == "finished"


def _epochs(
    work: Work,
    group: Group,
    tick: Tick = lambda *_: None,
    hopeless: Callable[[EpochRecord], str] = lambda record: "",
) -> Iterator[EpochRecord]:
    return train_epochs(
        work.model, work.optimizer, work.data, work.config, work.progress, tick,
        position=work.position, under_way=deferred if group.leads else nullcontext,
        average=work.average, hopeless=hopeless, group=group,
    )  # fmt: skip


def _curve(work: Work, group: Group) -> list[Row]:
    """Robust accuracy at the radii of `evaluation.eps`, if there are any."""
    if not work.config.evaluation.eps or work.progress.stopped == "nonfinite":
        return []
    points = curve(work.model, work.data.test, work.config, group)
    return [[repr(value) for value in point] for point in points]


def _train(work: Work, directory: RunDirectory, observer: Observer, group: Group) -> None:
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
    directory.log(f"attempt {directory.status.attempt}: from {_place(work)}")
    batch = Part(work, directory, observer, group).batch
    for record in _epochs(work, group, batch, partial(_hopeless, work, directory)):
        with deferred("when this epoch is saved"):
            _keep(work, directory, record, began)
            observer.epoch(record)
    directory.remove("part.pt")  # of an epoch that ended as not finite, or just before a kill
    if rows := _curve(work, group):
        directory.write("curve_eps.csv", to_csv(CURVE_COLUMNS, rows))
    if progress.stopped == "nonfinite":
        where = f"epoch {progress.epoch}, batch {progress.bad_batch}"
        observer.warn(f"a loss or weight was not finite in {where}: the run ends here")
        directory.set_status(bad_epoch=progress.epoch, bad_batch=progress.bad_batch)
    directory.set_status(stopped=progress.stopped)  # it tells which rows are measured alike
    verdict = diagnose_run(directory.path, state="finished").to_json()
    directory.write("verdict.json", json.dumps(verdict, indent=1, allow_nan=False).encode())
    directory.log(f"verdict: {verdict['headline']}")
    directory.set_status(state="finished")


def _keep(work: Work, directory: RunDirectory, record: EpochRecord, began: float) -> None:
    """Save an epoch that is done."""
    work.rows.append(record.row())
    # All before the checkpoint: a kill between them costs the epoch, nothing else.
    directory.write("metrics.csv", to_csv(COLUMNS, work.rows))
    if work.progress.stopped != "nonfinite":
        _save_examples(work, directory)
        _save(work, directory)
    _write_provenance(work, directory, began)
    directory.set_status(epoch=record.epoch, best_epoch=work.progress.best_epoch)
    directory.log(record.line(work.config.training.epochs))


def _place(work: Work) -> str:
    """How far the run is, for its log."""
    within = f", batch {work.position.done}" if work.position else ""
    return f"epoch {work.progress.epoch}{within}"


def _hopeless(work: Work, directory: RunDirectory, record: EpochRecord) -> str:
    """The first of `training.stop_on` that the verdict finds in the epochs so far, if any."""
    if not work.config.training.stop_on:
        return ""
    directory.write("metrics.csv", to_csv(COLUMNS, [*work.rows, record.row()]))
    axes = diagnose_run(directory.path, state="running").verdict.axes.values()
    return next((a.state for a in axes if a.state in work.config.training.stop_on), "")


def _save_examples(work: Work, directory: RunDirectory) -> None:
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
        directory.write("examples.npz", examples_npz.to_bytes(work.shown))


def _save(work: Work, directory: RunDirectory) -> None:
    """last.pt, best.pt if this epoch is the best, and the kept ones; part.pt has served."""
    epoch, keep = work.progress.epoch, work.config.training.keep_every
    content = checkpoint.to_bytes(work.model, work.optimizer, work.progress, work.average)
    if work.progress.best_epoch == epoch:
        directory.write("best.pt", content)
    if keep and epoch % keep == 0:
        directory.write(f"epoch{epoch:05d}.pt", content)
    directory.write("last.pt", content)
    directory.remove("part.pt")


def _write_provenance(work: Work, directory: RunDirectory, began: float) -> None:
    work.provenance["sessions"][-1]["seconds"] = round(time.perf_counter() - began, 3)
    directory.write("provenance.json", provenance.to_bytes(work.provenance))
