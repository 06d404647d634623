"""The command line: arguments in, exit codes out. Imports torch only where a command trains."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advtrain.errors import AdvtrainError, Interrupted, RunFailed
from advtrain.interrupt import interruptible

if TYPE_CHECKING:
    from advtrain.config.schema import Config as ConfigSchema

app = typer.Typer(
    help="Does my adversarial training converge, and if not, why?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Rerun(StrEnum):
    """Which runs a sweep trains again."""

    failed = "failed"
    all = "all"


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
    Path, typer.Option(file_okay=False, readable=False, help="Where the runs' directories are.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done and end.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@app.command()
def train(
    config: Config,
    overrides: Overrides = None,
    from_run: Annotated[
        Path | None,
        typer.Option("--from", metavar="RUN", help="Go on from another run's last.pt."),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    device: Device = "auto",
    resume: Annotated[
        Resume,
        typer.Option(help="auto goes on where a run stopped; never refuses to, require insists."),
    ] = Resume.auto,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the whole config and end.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="No table of epochs and no charts.")
    ] = False,
) -> None:
    """Train one config to its end, or go on where it stopped."""
    from advtrain.config.devices import check_device
    from advtrain.config.load import load_config, located

    check_device(device)
    loaded = load_config(config, overrides or [])
    if print_config or dry_run:
        from advtrain.overview import print_plan, print_resolved

        with located(loaded):
            if print_config:
                print_resolved(loaded, runs_dir, from_run)
            else:
                print_plan(loaded, runs_dir, from_run, resume.value)
        return
    from advtrain.store.naming import locate

    with located(loaded):  # so that wrong weights or --from need not wait for torch
        path, _, _ = locate(loaded, runs_dir, from_run)
    try:
        _train(loaded, runs_dir, device, resume, from_run, quiet)
    except (RunFailed, Interrupted):
        if as_json:
            _show(path, as_json, quiet)
        raise
    _show(path, as_json, quiet)


def _train(
    config: ConfigSchema, runs_dir: Path, device: str, resume: Resume, from_run: Path | None,
    quiet: bool,
) -> None:  # fmt: skip
    """Train under the eyes of the console; importing torch may be interrupted, too."""
    from advtrain.config.load import located
    from advtrain.console import watching

    with interruptible(), located(config), watching(quiet) as observer:
        from advtrain.experiment import train as run_experiment

        run_experiment(
            config,
            runs_dir,
            device=device,
            resume=resume.value,
            from_run=from_run,
            observer=observer,
        )


def _show(path: Path, as_json: bool, quiet: bool) -> None:
    """A run's results on stdout, if it got as far as having a status."""
    from rich.console import Console

    from advtrain.console import summary
    from advtrain.store.run import Run
    from advtrain.store.status import read_status

    if as_json:
        if read_status(path):
            print_json(Run(path).to_json())
    elif quiet:
        print(path)
    else:
        summary(Run(path), Console(highlight=False))


@app.command()
def sweep(
    config: Config,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=V1,V2 ...",
            help="Values to try, such as eps=0.1,0.2 or lr=logspace(1e-3,1,7).",
            autocompletion=complete_override,
        ),
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="As in 0-4 or 0,2,5-7.")] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Workers; by default one a GPU, else one a core.")
    ] = None,
    rerun: Annotated[
        Rerun | None,
        typer.Option(help="failed: only what failed or was cut off; all: each run anew."),
    ] = None,
    fail_fast: Annotated[bool, typer.Option(help="Stop at the first run that fails.")] = False,
    refine: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Close in on the band of KEY that converges."),
    ] = None,
    budget: Annotated[int | None, typer.Option(min=1, help="Most runs that --refine adds.")] = None,
    runs_dir: RunsDir = Path("runs"),
    device: Device = "auto",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Train a grid of configs and seeds on all cores or GPUs, or go on where it stopped."""
    from advtrain.sweep.command import run_command
    from advtrain.sweep.run import Options

    options = Options(
        device, jobs, rerun.value if rerun else None, fail_fast, refine, budget, tuple(sys.argv)
    )
    with interruptible():
        code = run_command(
            config, overrides or [], seeds, runs_dir, options, dry_run=dry_run, as_json=as_json
        )
    raise typer.Exit(code)


@app.command()
def diagnose(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="RUN | FOLDER | CSV ...", help="Runs, or CSVs of epochs."),
    ],
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COLUMN", help="A column of a foreign CSV by our name; may be repeated."
        ),
    ] = None,
    classes: Annotated[
        int | None,
        typer.Option(min=2, max=1_000_000, help="Classes of a foreign CSV, all equally frequent."),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="End with 3 unless every one has converged.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say whether a training converges, why not, and what to change."""
    from rich.console import Console

    from advtrain.answer import print_results
    from advtrain.diagnose import cells, diagnose_all, parse_columns

    found = diagnose_all(paths, parse_columns(columns or []), classes)
    results, together = [r.to_json() for r in found], [c.to_json() for c in cells(found)]
    if as_json:
        print_json({"results": results, "cells": together})
    else:
        print_results(results, together, Console(highlight=False))
        for result in found:
            for change in result.changed:
                print(f"{result.path}: changed by newer rules: {change}")
    if check and any(result.verdict.converged is not True for result in found):
        raise typer.Exit(3)


@app.command()
def status(
    folder: Annotated[Path, typer.Argument(help="Where to look for runs.")] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """List the runs below a folder and what became of them."""
    from advtrain.overview import print_status, status_json
    from advtrain.store.run import runs_below

    runs = runs_below(folder)
    if as_json:
        print_json(status_json(runs))
    else:
        print_status(runs, folder)


@app.command()
def models() -> None:
    """List the models that a config can name."""
    from advtrain.listings import print_models

    print_models()


@app.command()
def datasets() -> None:
    """List the datasets that a config can name."""
    from advtrain.listings import print_datasets

    print_datasets()


@app.command()
def schema() -> None:
    """Show every key of a config with its default and meaning."""
    from advtrain.listings import print_schema

    print_schema()


def print_json(result: dict[str, Any]) -> None:
    """One object on stdout."""
    print(json.dumps(result, indent=2, allow_nan=False))


def main() -> None:
    """Run the command line; a user's mistake is one clear message, never a traceback."""
    try:
        app()
    except AdvtrainError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
