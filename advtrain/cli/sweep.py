"""`advtrain sweep`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    print_json,
)
from advtrain.errors import Interrupted
from advtrain.process.signals import interruptible

if TYPE_CHECKING:
    from advtrain.sweep.launch.choose import Options
    from advtrain.sweep.run_sweep import SweepResult


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
    seeds: Annotated[
        str | None, typer.Option(metavar="SEEDS", help="Seeds of each cell: 0-4 or 0,2,5-7.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Runs at a time, by default one per GPU, else one per core; with Slurm: tasks.",
        ),
    ] = None,
    launcher: Annotated[
        Launcher, typer.Option(help="local: on this machine; slurm: as jobs of the cluster.")
    ] = Launcher.local,
    rerun: Annotated[
        Rerun | None,
        typer.Option(help="failed: repeat only failed or interrupted runs; all: repeat all."),
    ] = None,
    fail_fast: Annotated[bool, typer.Option(help="Stop at the first run that fails.")] = False,
    refine: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="Then search for the range of KEY that converges."),
    ] = None,
    budget: Annotated[
        int | None,
        typer.Option(min=1, help="How many runs --refine may train; existing ones are free."),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    device: Device = "auto",
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Train a grid of configs and seeds on all cores or GPUs; an interrupted sweep continues."""
    from advtrain.sweep.launch.choose import Options

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
        code = _run(config, overrides or [], seeds, runs_dir, options, dry_run, as_json)
    raise typer.Exit(code)


def _run(
    config: Path, arguments: list[str], seeds: str | None, runs_dir: Path, options: Options,
    dry_run: bool, as_json: bool,
) -> int:  # fmt: skip
    """The exit code; raises Interrupted, after the results, if a signal ended the sweep."""
    from rich.console import Console

    from advtrain.process.devices import check_device
    from advtrain.sweep.plan import read_study
    from advtrain.sweep.results import print_plan, print_result
    from advtrain.sweep.run_sweep import run_sweep

    if options.launcher == "local":
        check_device(options.device)
    study = read_study(config, arguments, seeds, runs_dir)
    console = Console(highlight=False)
    if dry_run:
        print_plan(study, options, console, as_json=as_json)
        return 0
    result = run_sweep(study, options)
    if as_json:
        print_json(result.to_json())
    else:
        print_result(result, console)
    if result.interrupted:
        raise Interrupted(f"{_kept(result, options)}\nto go on: {_again(options)}")
    return result.exit_code


def _kept(result: SweepResult, options: Options) -> str:
    """What an interrupted sweep leaves behind, and how to end the jobs that go on."""
    from advtrain.sweep.launch.slurm_follow import jobs_of

    jobs = jobs_of(result.board.runs) if options.launcher == "slurm" else []
    arrays = sorted({job.partition("_")[0] for job in jobs})
    if arrays:
        return f"the jobs go on; to end them: scancel {' '.join(arrays)}"
    return "every run is saved up to its last whole epoch"


def _again(options: Options) -> str:
    """The command that goes on: --rerun all would begin anew."""
    words = ["advtrain", *options.argv[1:]]
    if options.rerun == "all":
        if "--rerun" in words:
            at = words.index("--rerun")
            del words[at : at + 2]
        words = [word for word in words if word != "--rerun=all"]
    return shlex.join(words)
