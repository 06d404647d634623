"""Which runs an evaluation is about, and which weights of theirs. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from advtrain.errors import AdvtrainError
from advtrain.store.evaluation_csv import read_evaluations
from advtrain.store.reader import runs_below
from advtrain.store.run_status import is_run, read_status, why_no_status


@dataclass(frozen=True)
class Chosen:
    """A run, the file of its weights, and what that is called: best, last or a file's name."""

    run: Path
    file: Path
    checkpoint: str


def chosen_runs(
    paths: Sequence[Path], checkpoint: str | None, warn: Callable[[str], None]
) -> list[Chosen]:
    """The runs that the paths stand for, each once: a folder for the finished ones in it.

    `checkpoint` is None for best.pt, or last.pt where there is none. Raises AdvtrainError for a
    run that still trains or has no weights; what a folder holds without weights is left out.
    """
    chosen: dict[Path, Chosen] = {}
    for path in paths:
        for run in [path] if is_run(path) else _finished_below(path, warn):
            if _checkpoints(run):
                chosen.setdefault(run.resolve(), _weights(run, checkpoint, warn))
            elif run == path:
                raise AdvtrainError(f"{run}: has no weights to evaluate")
            else:
                warn(f"{run}: has no weights, left out")
    if not chosen:
        raise AdvtrainError(f"{paths[0]}: no run in it has weights to evaluate")
    for one in chosen.values():
        read_evaluations(one.run)  # a damaged file is better known now
    return list(chosen.values())


def _checkpoints(run: Path) -> list[str]:
    """The files of its epochs; part.pt is of one that has yet to end."""
    return sorted(file.name for file in run.glob("*.pt") if file.name != "part.pt")


def _finished_below(folder: Path, warn: Callable[[str], None]) -> list[Path]:
    if not folder.is_dir():
        raise AdvtrainError(f"{folder}: no such run or folder")
    states = {run.dir: read_status(run.dir) for run in runs_below(folder)}
    for run in (run for run, status in states.items() if status is None):
        warn(f"{run}: its {why_no_status(run)}; left out")
    found = [run for run, status in states.items() if status and status.state == "finished"]
    if not found:
        raise AdvtrainError(f"{folder}: neither a run nor a folder with a finished run in it")
    return found


def _weights(run: Path, wanted: str | None, warn: Callable[[str], None]) -> Chosen:
    status = read_status(run)
    if status is not None and status.shown == "running":
        raise AdvtrainError(
            f"{run}: is still training (epoch {status.epoch} of {status.epochs}); evaluate it "
            "when it has ended"
        )
    if wanted is None:
        wanted = "best" if (run / "best.pt").exists() else "last"
        if wanted == "last":
            best = status.best_epoch if status else 0
            lost = f"best.pt is missing (epoch {best} was the best on validation)"
            warn(f"{run}: {lost if best else 'has no best.pt'}, so last.pt is evaluated")
    place = f"argument '--checkpoint {wanted}'"
    if wanted in ("best", "last"):
        file = run / f"{wanted}.pt"
        if not file.exists():
            others = ", ".join(_checkpoints(run))
            raise AdvtrainError(f"{place}: {run} has no {file.name}; it has {others}")
        return Chosen(run, file, wanted)
    own = run / Path(wanted).name
    file = own if wanted == own.name and own.is_file() else Path(wanted)
    if not file.is_file():
        raise AdvtrainError(f"{place}: no such file, nor one of that name in {run}")
    if file.resolve() != own.resolve():
        return Chosen(run, file, wanted)
    return Chosen(run, file, own.stem if own.stem in ("best", "last") else own.name)
