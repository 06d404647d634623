"""`advtrain train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from advtrain.cli.arguments import (
    AsJson,
    Config,
    Device,
    DryRun,
    Overrides,
    Resume,
    RunsDir,
    print_json,
)
from advtrain.errors import Interrupted, RunFailed
from advtrain.interrupt import interruptible, noted

if TYPE_CHECKING:
    from advtrain.config.schema import Config as ConfigSchema


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
    from advtrain.config.ranks import follows

    if follows():
        if not (print_config or dry_run):
            _follow(config, overrides or [], runs_dir, device, from_run)
        return
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


def _follow(
    config: Path, overrides: list[str], runs_dir: Path, device: str, from_run: Path | None
) -> None:
    """Train as the first of torchrun's processes does, which alone speaks.

    That one is met before anything can go wrong, so that a mistake of both is said once, by it.
    """
    import signal

    from advtrain.config.load import load_config, located
    from advtrain.experiment import joined
    from advtrain.experiment import train as run_experiment

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # there is nothing to save yet
    with joined(), noted():
        loaded = load_config(config, overrides)
        with located(loaded):
            run_experiment(loaded, runs_dir, device=device, from_run=from_run)


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
