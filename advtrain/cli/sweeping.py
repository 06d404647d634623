"""`advtrain sweep`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from advtrain.cli.arguments import (
    AsJson,
    Config,
    Device,
    DryRun,
    Launcher,
    Rerun,
    RunsDir,
    complete_override,
)
from advtrain.interrupt import interruptible


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
        int | None,
        typer.Option(
            min=1,
            help="Workers, by default one a GPU, else one a core; with Slurm, tasks at a time.",
        ),
    ] = None,
    launcher: Annotated[
        Launcher, typer.Option(help="local: workers on this machine; slurm: jobs of the cluster.")
    ] = Launcher.local,
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
    from advtrain.sweep.launchers import Options

    options = Options(
        device,
        jobs,
        rerun.value if rerun else None,
        fail_fast,
        refine,
        budget,
        tuple(sys.argv),
        launcher.value,
    )
    with interruptible():
        code = run_command(
            config, overrides or [], seeds, runs_dir, options, dry_run=dry_run, as_json=as_json
        )
    raise typer.Exit(code)
