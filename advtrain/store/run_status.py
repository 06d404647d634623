"""status.json: what a run is doing, who is doing it, and since when. Imports no torch."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from advtrain.config.json_file import read_object

STALE = 60.0  # seconds without a heartbeat after which a run on another host counts as dead


@dataclass
class Status:
    """The state of a run: queued, running, finished, failed or interrupted."""

    state: str
    attempt: int  # raised by each process that takes the run over; only the highest may write
    host: str
    pid: int
    heartbeat: float  # seconds since 1970
    epoch: int = 0  # epochs done
    epochs: int = 0  # epochs to do
    best_epoch: int = 0  # by validation; 0: none
    stopped: str = ""  # early_stopping, nonfinite or a state of stop_on: why it ended early
    bad_epoch: int | None = None  # where a loss or weight was first not finite
    bad_batch: int | None = None
    error: str = ""  # why it failed
    job: str = ""  # the Slurm job that it waits for, or that this attempt is part of
    restart: int = 0  # how often Slurm had started that job anew

    @property
    def silent(self) -> float:
        """Seconds since the last heartbeat."""
        return time.time() - self.heartbeat

    @property
    def shown(self) -> str:
        """The state as a listing shows it: a running one without a heartbeat is `stale`."""
        return "stale" if self.state == "running" and self.silent > STALE else self.state

    def to_json(self) -> str:
        """The text of status.json."""
        return json.dumps(asdict(self), indent=1)


def progress_of(status: Status | None) -> tuple[int, str]:
    """Attempt and state: they differ where somebody has worked on the run between two looks."""
    return (status.attempt, status.state) if status else (0, "")


def is_run(path: Path) -> bool:
    """Whether a run began in this directory, even if its status can no longer be read."""
    try:
        return any((path / name).exists() for name in ("status.json", "last.pt", "part.pt"))
    except OSError:  # who wants to write there will be told
        return False


def why_no_status(run: Path) -> str:
    """What is wrong with a status that `read_status` could not read."""
    if (run / "status.json").exists():
        return "status.json cannot be read"
    return "status.json is missing; the command that trained the run writes it again"


def read_status(run: Path) -> Status | None:
    """The status of a run directory, or None if it has none that can be read."""
    found = read_object(run / "status.json") or {}
    known = {f.name: f.type for f in fields(Status)}
    try:
        status = Status(**{k: v for k, v in found.items() if k in known})
    except TypeError:  # a field is missing
        return None
    sound = all(_is(getattr(status, name), str(kind)) for name, kind in known.items())
    return status if sound else None


def _is(value: object, kind: str) -> bool:
    """Whether a value of the file is of a field's type."""
    kinds: dict[str, tuple[type, ...]] = {
        "str": (str,), "int": (int,), "float": (int, float), "int | None": (int, type(None)),
    }  # fmt: skip
    return isinstance(value, kinds[kind]) and not isinstance(value, bool)
