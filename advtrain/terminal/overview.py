"""What `advtrain status` prints, and `train` with --print-config or --dry-run. Imports no torch."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from advtrain.config.checks import cautions
from advtrain.config.identity import to_yaml
from advtrain.config.schema import Config
from advtrain.errors import AdvtrainError
from advtrain.store.naming import locate
from advtrain.store.reader import Run
from advtrain.store.run_status import Status, read_status
from advtrain.store.slurm_queue import Job, disagreement, in_queue
from advtrain.terminal.duration import duration


def print_resolved(config: Config, runs_dir: Path, from_run: Path | None) -> None:
    """The whole config as YAML."""
    _, config, _ = locate(config, runs_dir, from_run)
    print(to_yaml(config), end="")


def print_plan(config: Config, runs_dir: Path, from_run: Path | None, resume: str) -> None:
    """What `train` would do."""
    path, config, parent = locate(config, runs_dir, from_run)
    status = read_status(path)
    attack, epochs = config.attack, config.training.epochs
    if status is None:
        doing = "start a new run" if resume != "require" else "refuse: there is no such run"
        if parent:
            doing = f"go on from epoch {parent.epoch} of {parent.path}"
    elif resume == "never":
        doing = f"refuse: the run exists ({status.shown})"
    elif status.state == "finished":
        doing = "nothing: the run is finished"
    else:
        doing = f"go on after epoch {status.epoch} ({status.shown})"
        if (path / "part.pt").exists():
            doing += f", from within epoch {status.epoch + 1}"
    print(f"directory  {path}")
    print(f"would      {doing}")
    print(f"model      {config.model.name} on {config.dataset.name}")
    print(
        f"attack     {attack.norm}, eps {attack.eps:g}, {attack.steps} steps of "
        f"{attack.step_size:g} from a {attack.start} start; evaluated with "
        f"{config.evaluation.steps} steps"
    )
    print(
        f"training   {epochs} epochs, batches of {config.training.batch_size}, "
        f"{config.optimizer.name} at {config.optimizer.lr:g}, {config.schedule.name}"
    )
    for caution in cautions(config):
        print(f"caution    {caution}")


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
    rows = [_row(run, status, folder, queue) for run, status in found]
    columns = ["state", "job", "epoch", "clean", "robust", "seen", "run"]
    shown = [i for i, name in enumerate(columns) if name != "job" or any(row[i] for row in rows)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i in shown:  # the run is last, so that a long name squeezes nothing else
        table.add_column(columns[i], no_wrap=columns[i] != "run", overflow="fold")
    for row in rows:
        table.add_row(*(Text(row[i]) for i in shown))  # as it is: an error may look like markup
    Console().print(table)


def _row(run: Run, status: Status | None, folder: Path, queue: JobsOfRuns) -> list[str]:
    name = str(run.dir.relative_to(folder))
    if status is None:
        return ["unreadable", *[""] * 5, f"{name}: its status.json is damaged"]
    last = run.last
    what = [status.stopped or status.error, queue.disagreement(status)]
    return [
        status.shown,
        queue.shown(status),
        f"{status.epoch}/{status.epochs}",
        *(_percent(last.get(f"test_{kind}_acc")) for kind in ("clean", "robust")),
        f"{duration(time.time() - status.heartbeat)} ago",
        ": ".join([name, *filter(None, what)]),
    ]


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
