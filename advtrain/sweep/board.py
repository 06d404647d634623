"""What became of each planned run, read from its directory, which is the whole state."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from advtrain.config.json_file import read_object
from advtrain.diagnosis import rules
from advtrain.diagnosis.verdict import AXES
from advtrain.store.final_csv import read_final
from advtrain.store.reader import read_files
from advtrain.store.run_status import read_status
from advtrain.sweep.plan import Planned
from advtrain.tasks.diagnose import judged


@dataclass(frozen=True)
class Outcome:
    """How far a run is, and what it found. `error` says why it failed or was cut off."""

    state: str = "queued"  # or as in status.json; `stale`: running, but not heard of for a minute
    attempt: int = 0
    epoch: int = 0
    epochs: int = 0
    error: str = ""
    best_epoch: int = 0
    converged: bool | None = None
    cause: str = ""
    headline: str = ""
    axes: dict[str, str] = field(default_factory=dict)  # their states
    best: float | None = None  # test robust accuracy in the epoch best on validation
    last: float | None = None  # on all images once finished, else the latest measured
    seconds: float = 0.0  # of all epochs

    @property
    def finished(self) -> bool:
        """Whether it has its verdict."""
        return self.state == "finished"

    @property
    def failed(self) -> bool:
        """Whether it failed, or its process was killed."""
        return not self.finished and bool(self.error or self.state == "failed")


def outcome(run: Planned) -> Outcome:
    """What the run's directory says."""
    status = read_status(run.path)
    if status is None:
        return Outcome(epochs=run.config.training.epochs)
    final = read_final(run.path).get("test")
    best, last, seconds = _figures(run.path / "metrics.csv", status.epoch, status.best_epoch)
    verdict = _verdict(run.path) if status.state == "finished" else {}
    axes = verdict.get("axes", {})
    return Outcome(
        state=status.shown,
        attempt=status.attempt,
        epoch=status.epoch,
        epochs=run.config.training.epochs,
        error=" ".join(status.error.split()),  # in one line
        best_epoch=status.best_epoch,
        converged=verdict.get("converged"),
        cause=str(verdict.get("cause", "")),
        headline=str(verdict.get("headline", "")),
        axes={name: str(axes.get(name, {}).get("state", "")) for name in AXES},
        best=best,
        last=final.robust_acc if final else last,
        seconds=seconds,
    )


@dataclass
class Board:
    """The planned runs with their outcomes: what tables and views show."""

    keys: tuple[str, ...]
    runs: list[Planned] = field(default_factory=list)
    outcomes: dict[Path, Outcome] = field(default_factory=dict)

    def add(self, runs: Iterable[Planned]) -> list[Planned]:
        """Take in those runs that are new, each with what its directory says."""
        new = [run for run in runs if run.path not in self.outcomes]
        self.runs += new
        self.outcomes |= {run.path: outcome(run) for run in new}
        return new

    def look_again(self) -> None:
        """Read anew what has not ended: some runs were never begun, or were stopped."""
        for run in self.runs:
            if not self.of(run).finished and not self.of(run).failed:
                self.outcomes[run.path] = outcome(run)

    def of(self, run: Planned) -> Outcome:
        """The run's outcome."""
        return self.outcomes[run.path]

    def cells(self) -> dict[tuple[str, ...], list[Planned]]:
        """The runs of each cell, by the values of the swept keys."""
        found: dict[tuple[str, ...], list[Planned]] = {}
        for run in self.runs:
            found.setdefault(run.texts, []).append(run)
        return found

    def failures(self) -> list[Planned]:
        """The runs that failed or were killed."""
        return [run for run in self.runs if self.of(run).failed]

    def seconds_an_epoch(self) -> float | None:
        """Over all epochs of all runs; None before the first."""
        done = [o for o in self.outcomes.values() if o.epoch and o.seconds]
        epochs = sum(o.epoch for o in done)
        return sum(o.seconds for o in done) / epochs if epochs else None


def _verdict(path: Path) -> dict[str, Any]:
    """By today's rules: the one that the run left, unless they have changed or it is damaged.

    Nor does it count where the epochs that it rests on are gone.
    """
    found = read_object(path / "verdict.json")
    if found and found.get("rules") == rules.VERSION and (path / "metrics.csv").exists():
        return found
    return judged(read_files(path)).verdict.to_json()


def _figures(file: Path, epochs: int, best: int) -> tuple[float | None, float | None, float]:
    """Best and last test robust accuracy, and the seconds of all epochs."""
    at_best: float | None = None
    last: float | None = None
    seconds = 0.0
    try:
        with file.open(newline="") as lines:
            rows = csv.reader(lines)
            header = next(rows, [])
            columns = [header.index(name) for name in ("epoch", "test_robust_acc", "seconds")]
            for row in rows:
                epoch, accuracy, took = (row[i] for i in columns)
                if int(epoch) > epochs:
                    break
                seconds += float(took or 0)
                measured = float(accuracy) if accuracy else math.nan
                last = measured if math.isfinite(measured) else last
                if int(epoch) == best and math.isfinite(measured):
                    at_best = measured
    except (OSError, ValueError, IndexError, csv.Error):
        pass  # not there yet, or damaged: what is known counts
    return at_best, last, seconds
