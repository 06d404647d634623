"""What `advtrain status` prints. Imports no torch."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from advtrain.errors import AdvtrainError
from advtrain.store.missing import missing_files
from advtrain.store.reader import Run
from advtrain.store.run_status import Status, read_status, why_no_status
from advtrain.store.slurm_queue import Job, disagreement, in_queue
from advtrain.terminal.duration import duration
from advtrain.terminal.whole_table import print_whole


def status_json(runs: list[Run]) -> dict[str, Any]:
    """The object of `advtrain status --json`."""
    statuses = [read_status(run.dir) for run in runs]
    queue = JobsOfRuns.of(statuses)
    found = zip(runs, statuses, strict=True)
    return {"runs": [_run_json(run, status, queue) for run, status in found]}


def _run_json(run: Run, status: Status | None, queue: JobsOfRuns) -> dict[str, Any]:
    if status is None:
        return {"run_dir": str(run.dir), "state": "unreadable"}
    job = queue.jobs.get(status.job)
    return {
        "run_dir": str(run.dir),
        "state": status.shown,
        "epoch": status.epoch,
        "epochs": status.epochs,
        "attempt": status.attempt,
        "host": status.host,
        "heartbeat": status.heartbeat,
        "stopped": status.stopped,
        "error": status.error,
        "job": status.job or None,
        "queue": job and job.shown,
        "disagreement": queue.disagreement(status) or None,
        "missing": missing_files(run.dir, status),
        "last": run.last,
    }


@dataclass(frozen=True)
class JobsOfRuns:
    """What Slurm says of the jobs of runs that are not finished."""

    jobs: dict[str, Job]
    unknown: str = ""  # why it could not be asked

    @classmethod
    def of(cls, statuses: list[Status | None]) -> JobsOfRuns:
        """Asked of all jobs whose runs are not finished; not at all where there are none."""
        ids = {s.job for s in statuses if s and s.job and s.state != "finished"}
        try:
            return cls(in_queue(ids))
        except AdvtrainError as error:
            return cls({}, str(error))

    def disagreement(self, status: Status) -> str:
        """See `jobs.disagreement`; empty where nothing is known."""
        return "" if self.unknown else disagreement(status, self.jobs.get(status.job))

    def shown(self, status: Status) -> str:
        """The cell of a run's job."""
        if not status.job or status.state == "finished":
            return ""
        if self.unknown:
            return f"{status.job} ?"
        job = self.jobs.get(status.job)
        return f"{status.job} {job.shown if job else 'gone'}"


def print_status(runs: list[Run], folder: Path) -> None:
    """A table with a row for each run; what Slurm says of its job beside it, where it has one."""
    if not runs:
        print(f"no runs in {folder}")
        return
    statuses = [read_status(run.dir) for run in runs]
    queue = JobsOfRuns.of(statuses)
    if queue.unknown:
        print(f"the queue is not known: {queue.unknown}", file=sys.stderr)
    found = zip(runs, statuses, strict=True)
    rows = [_row(run, status, queue) for run, status in found]
    columns = ["state", "job", "epoch", "clean", "robust", "seen", "run", "note"]
    filled = [any(row[i] for row in rows) for i in range(len(columns))]
    shown = [i for i, name in enumerate(columns) if name not in ("job", "note") or filled[i]]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i in shown:
        table.add_column(columns[i], no_wrap=True)
    for row in rows:  # Text: an error may look like markup
        table.add_row(*(Text(" ".join(row[i].split())) for i in shown))
    print_whole(table, Console(highlight=False))


def _row(run: Run, status: Status | None, queue: JobsOfRuns) -> list[str]:
    if status is None:
        return ["unreadable", *[""] * 5, str(run.dir), f"its {why_no_status(run.dir)}"]
    last = run.last
    what = [status.stopped or status.error, queue.disagreement(status)]
    if missing := missing_files(run.dir, status):
        what.append(f"missing: {', '.join(missing)}")
    return [
        status.shown,
        queue.shown(status),
        f"{status.epoch}/{status.epochs}",
        *(_percent(last.get(f"test_{kind}_acc")) for kind in ("clean", "robust")),
        f"{duration(time.time() - status.heartbeat)} ago",
        str(run.dir),
        "; ".join(filter(None, what)),
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
