"""What several commands share: their arguments, and how they print JSON."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from advtrain.errors import AdvtrainError


class Rerun(StrEnum):
    """Which runs a sweep trains again."""

    failed = "failed"
    all = "all"


class Launcher(StrEnum):
    """Where a sweep's runs are trained."""

    local = "local"
    slurm = "slurm"


class Resume(StrEnum):
    """What to do about a run that is already there."""

    auto = "auto"
    never = "never"
    require = "require"


def complete_override(incomplete: str) -> list[str]:
    """Keys for the shell's completion of KEY=VALUE."""
    from advtrain.config.overrides import keys_of_sections

    sections = keys_of_sections()
    keys = [f"{s}.{k}" for s, keys in sections.items() for k in keys] + list(sections)
    return [f"{key}=" for key in keys if key.startswith(incomplete)]


Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file; see configs/.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Overrides, such as eps=8/255 or schedule.milestones=[20,30].",
        autocompletion=complete_override,
    ),
]
RunsDir = Annotated[
    Path,
    typer.Option(
        metavar="DIR", file_okay=False, readable=False, help="Folder of the runs' directories."
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done and exit.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=COLUMN",
        help="Which column of a CSV is NAME, as in train_robust_loss=loss; may be repeated.",
    ),
]
Classes = Annotated[
    int | None,
    typer.Option(
        min=2, max=1_000_000, help="Number of classes behind a CSV, all equally frequent."
    ),
]
Check = Annotated[bool, typer.Option("--check", help="Exit with 3 unless every run has converged.")]


def check_runs_dir(context: typer.Context, *named: Path | None) -> None:
    """AdvtrainError if --runs-dir is given beside paths, which say themselves where they are."""
    source = context.get_parameter_source("runs_dir")
    if any(named) and source is not None and source.name == "COMMANDLINE":
        raise AdvtrainError(
            f"argument '--runs-dir {context.params['runs_dir']}': the paths to look at are given, "
            "too; leave one out"
        )


def print_json(result: dict[str, Any]) -> None:
    """One object on stdout."""
    print(json.dumps(result, indent=2, allow_nan=False))
