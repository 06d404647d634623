"""What `advtrain status` prints, and `train` with --print-config or --dry-run. Imports no torch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from advtrain.config.checks import cautions
from advtrain.config.identity import to_yaml
from advtrain.config.schema import Config
from advtrain.console import duration
from advtrain.store.naming import locate
from advtrain.store.run import Run
from advtrain.store.status import read_status


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
    return {"runs": [_run_json(run) for run in runs]}


def _run_json(run: Run) -> dict[str, Any]:
    status = read_status(run.dir)
    if status is None:
        return {"run_dir": str(run.dir), "state": "unreadable"}
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
        "last": run.to_json()["last"],
    }


def print_status(runs: list[Run], folder: Path) -> None:
    """A table with a row for each run."""
    if not runs:
        print(f"no runs in {folder}")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("state", "epoch", "clean", "robust", "seen"):
        table.add_column(column, no_wrap=True)
    table.add_column("run", overflow="fold")  # last, so that a long name squeezes nothing else
    for run in runs:
        status, name = read_status(run.dir), str(run.dir.relative_to(folder))
        if status is None:
            table.add_row("unreadable", *[""] * 4, Text(f"{name}: its status.json is damaged"))
            continue
        last = run.to_json()["last"]
        what = status.stopped or status.error
        cells = [
            status.shown,
            f"{status.epoch}/{status.epochs}",
            *(_percent(last.get(f"test_{kind}_acc")) for kind in ("clean", "robust")),
            f"{duration(time.time() - status.heartbeat)} ago",
            name + (f": {what}" if what else ""),
        ]
        table.add_row(*map(Text, cells))  # as it is: an error may look like markup
    Console().print(table)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
