"""What the commands that train nothing print. Imports no torch."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from rich.console import Console
from rich.table import Table

from advtrain.config.checks import cautions
from advtrain.config.identity import to_yaml
from advtrain.config.names import DATASETS, MODELS
from advtrain.config.schema import Config
from advtrain.console import duration
from advtrain.errors import AdvtrainError
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


def print_models() -> None:
    """Names, arguments with their defaults, and a line about each."""
    table = _table("model", "arguments", "")
    for name, info in MODELS.items():
        args = [f"{key}={value}" for key, value in info.args().model_dump().items()]
        table.add_row(name, ", ".join(args), info.doc)
    table.add_row("torchvision:NAME", "as torchvision's", "any classifier of torchvision.models")
    table.add_row("import:package.module:Class", "its own", "yours: called with in_shape and "
                  "num_classes where it accepts them")  # fmt: skip
    Console().print(table)


def print_datasets() -> None:
    """Names, sizes, and where the images come from."""
    table = _table("dataset", "images", "classes", "train", "test", "")
    for name, info in DATASETS.items():
        size = "x".join(map(str, info.shape))
        where = f"; downloads {info.files}" if info.files else ""
        table.add_row(
            name, size, str(info.classes), f"{info.train:,}", f"{info.test:,}", info.doc + where
        )
    blank = [""] * 4
    table.add_row(
        "image_folder",
        *blank,
        "root/train/CLASS/* and root/test/CLASS/*; or root/CLASS/*, a fifth of it for testing",
    )
    table.add_row(
        "import:package.module:function",
        *blank,
        "yours: function(train=True or False) returns images and labels",
    )
    Console().print(table)


def print_schema() -> None:
    """Every key with its default, as YAML with comments."""
    for name, field in Config.model_fields.items():
        if name in Config.CHOICES:
            for cls in Config.CHOICES[name]:
                print(f"\n# {cls.__doc__}")
                _print_section(name, cls)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            print(f"\n# {field.annotation.__doc__}")
            _print_section(name, field.annotation)
        else:
            print(f"{name}: {_default(field)}".ljust(30) + f"  # {field.description}")


def _print_section(name: str, cls: type[BaseModel]) -> None:
    print(f"{name}:")
    fields = sorted(cls.model_fields.items(), key=lambda item: item[0] != "name")
    for key, field in fields:
        choices = [str(c) for c in get_args(field.annotation) if isinstance(c, str)]
        about = field.description or ""
        if len(choices) > 1:
            about = f"{about} ({' | '.join(choices)})"
        print(f"  {key}: {_default(field)}".ljust(30) + (f"  # {about}" if about else ""))


def _default(field: FieldInfo) -> str:
    """The default as YAML would have it."""
    if field.default is PydanticUndefined:
        return "(required)"
    return "null" if field.default is None else json.dumps(field.default).strip('"')


def runs_below(folder: Path) -> list[Run]:
    """The runs in a folder, by path; AdvtrainError if there is no such folder."""
    if not folder.is_dir():
        raise AdvtrainError(f"{folder}: no such folder")
    return [
        Run(file.parent) for file in sorted(folder.rglob("status.json")) if read_status(file.parent)
    ]


def status_json(runs: list[Run]) -> dict[str, Any]:
    """The object of `advtrain status --json`."""
    return {"runs": [_run_json(run) for run in runs]}


def _run_json(run: Run) -> dict[str, Any]:
    status = run.status
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
    table = _table("run", "state", "epoch", "clean", "robust", "seen")
    for run in runs:
        status, last = run.status, run.to_json()["last"]
        what = status.stopped or status.error
        table.add_row(
            str(run.dir.relative_to(folder)),
            status.shown + (f" ({what})" if what else ""),
            f"{status.epoch}/{status.epochs}",
            *(_percent(last.get(f"test_{kind}_acc")) for kind in ("clean", "robust")),
            f"{duration(time.time() - status.heartbeat)} ago",
        )
    Console().print(table)


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, column in enumerate(columns):
        table.add_column(column, no_wrap=i == 0, overflow="fold")
    return table
