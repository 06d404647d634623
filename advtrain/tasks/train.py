"""One config in one run directory: wires learning, diagnosis and store together."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from advtrain.config.checks import cautions
from advtrain.config.schema import Config
from advtrain.errors import AdvtrainError, Busy
from advtrain.learning.distributed.group import Group
from advtrain.learning.distributed.group import joined as joined  # these also for the command line
from advtrain.learning.distributed.group import noticing as noticing
from advtrain.learning.loop import train_epochs
from advtrain.learning.measuring.measure import curve, measure_at_the_end
from advtrain.learning.streams import preserved
from advtrain.process.observer import Observer
from advtrain.process.signals import deferred
from advtrain.store import provenance
from advtrain.store.missing import cannot_go_on
from advtrain.store.naming import locate
from advtrain.store.reader import Run
from advtrain.store.run_status import Status, is_run, progress_of, read_status
from advtrain.store.same_code import check_code, code_digest
from advtrain.store.same_images import check_images, stamp, vouched
from advtrain.store.writer import RunDirectory, hold, outcome_in
from advtrain.tasks.checksums import checksum_of
from advtrain.tasks.keep import End, keep_beginning, keep_end, keep_epoch, mend
from advtrain.tasks.mid_epoch import Following, Leading
from advtrain.tasks.prepare import Assignment, Work, prepare

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
    assigned = Assignment(config, path, parent, device)
    with joined() as group, noticing(group):
        if group.leads:
            _check_resume(path, resume)
            _lead(assigned, observer, group)
        else:
            _follow(assigned, group)
    return Run(path)


def _check_resume(path: Path, resume: Resume) -> None:
    exists = is_run(path)
    if resume == "never" and exists:
        raise AdvtrainError(f"{path}: this run exists, and --resume never was asked for")
    if resume == "require" and not exists:
        raise AdvtrainError(f"{path}: no such run, and --resume require was asked for")


def _lead(assigned: Assignment, observer: Observer, group: Group) -> None:
    """The part of the process that writes; of a single one that is all."""
    config, path = assigned.config, assigned.path
    seen = read_status(path)
    for caution in cautions(config):
        observer.warn(caution)
    check_code(config, path, assigned.parent, observer.warn)
    if _finished(seen):  # also where nothing may be written
        if not vouched(provenance.read(path), stamp(config.dataset)):
            check_images(config, path, assigned.parent, checksum_of(config))
        mend(path, config, assigned.parent, observer)
        group.agreed(None)
        return
    with hold(path) as directory, preserved():
        if _finished(directory.before):
            group.agreed(None)
            return
        if progress_of(directory.before) != progress_of(seen):
            raise Busy(f"{path}: another process has worked on this run meanwhile")
        if reason := cannot_go_on(path, directory.before):
            raise AdvtrainError(f"{path}: {reason}")
        work = prepare(assigned, observer, group)
        group.agreed(_beginning(work))
        group.meet()  # so that no other's mistake comes after the directory is touched
        of = work.session.progress
        directory.begin(epoch=of.epoch, best_epoch=of.best_epoch, epochs=config.training.epochs)
        with outcome_in(directory), noticing(group):
            _train(work, directory, observer)


def _train(work: Work, directory: RunDirectory, observer: Observer) -> None:
    """From the first epoch not done to the last, saving after each."""
    keep_beginning(work, directory)
    for text in work.session.data.notes:  # not before: a mistake is to be one line
        observer.note(f"data: {text}")
    for text in work.provenance["doubts"]:
        observer.warn(text)
    observer.started(directory.path, work.session.config, work.rows)
    for record in train_epochs(work.session, Leading(work, directory, observer)):
        with deferred("when this epoch is saved"):
            keep_epoch(work, directory, record)
            observer.epoch(record)
    progress = work.session.progress
    if progress.stopped == "nonfinite":
        where = f"epoch {progress.epoch}, batch {progress.bad_batch}"
        observer.warn(f"a loss or weight was not finite in {where}: the run ends here")
    keep_end(work, directory, _end(work))


def _follow(assigned: Assignment, group: Group) -> None:
    """The part of a process that another leads: the same training, of which nothing is written."""
    with preserved():
        leaders = group.agreed(("", 0, ""))
        if leaders is None:
            return
        check_code(assigned.config, assigned.path, assigned.parent, Observer().warn)
        work = prepare(assigned, Observer(), group)
        if _beginning(work) != leaders:
            raise AdvtrainError(
                f"{assigned.path}: process {group.rank} of this run finds other images, other "
                "source files or another last.pt than process 0; expected all machines to see the "
                "same folders"
            )
        group.meet()
        for _ in train_epochs(work.session, Following()):
            pass
        _end(work)


def _beginning(work: Work) -> tuple[str, int, str]:
    """What all processes have to begin with alike."""
    of = work.session
    return of.data.checksum, of.progress.step, code_digest(work.provenance)


def _finished(status: Status | None) -> bool:
    return status is not None and status.state == "finished"


def _end(work: Work) -> End:
    """The last weights on all images of each split, and at the radii of `evaluation.eps`."""
    if work.session.progress.stopped == "nonfinite":
        return End([], [])
    return End(measure_at_the_end(work.session), curve(work.session))
