"""`advtrain train`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from advtrain.cli.arguments import (
    AsJson,
    Device,
    DryRun,
    Overrides,
    Resume,
    RunsDir,
    print_json,
)
from advtrain.errors import AdvtrainError, RunFailed
from advtrain.process.signals import interruptible, noted

if TYPE_CHECKING:  # pydantic, which --help need not wait for
    from advtrain.config.schema import Config as Experiment
    from advtrain.store.parent import Parent
    from advtrain.store.reader import Run


def train(
    config: Annotated[
        Path,
        typer.Argument(
            metavar="CONFIG | RUN",
            help="A YAML file (see configs/); or a run's directory: that run goes on in it.",
        ),
    ],
    overrides: Overrides = None,
    from_run: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="RUN", help="Continue another run as a new one, from its last.pt."
        ),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    device: Device = "auto",
    resume: Annotated[
        Resume,
        typer.Option(
            help="auto: resume if possible; never: fail if the run exists; require: fail if it "
            "does not."
        ),
    ] = Resume.auto,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the whole config and exit.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print only the verdict and the run's directory.")
    ] = False,
) -> None:
    """Train one config; an interrupted run continues where it stopped."""
    from advtrain.process.ranks import follows

    keys = overrides or []
    if print_config or dry_run:
        if not follows():
            _print(config, keys, runs_dir, device, resume, from_run, print_config)
    elif follows():
        _follow(config, keys, runs_dir, device, from_run)
    else:
        path = _lead(config, keys, runs_dir, device, resume, from_run, quiet, as_json)
        _show(path, as_json, quiet)


def _print(
    config: Path, overrides: list[str], runs_dir: Path, device: str, resume: Resume,
    from_run: Path | None, whole: bool,
) -> None:  # fmt: skip
    """What would be trained: the whole config, or in a few lines."""
    from advtrain.config.load import load_config, located
    from advtrain.process.devices import check_device
    from advtrain.store.naming import locate
    from advtrain.store.same_code import check_code
    from advtrain.terminal.dry_run import print_plan, print_resolved

    check_device(device)
    loaded = load_config(config, overrides)
    with located(loaded):
        if whole:
            print_resolved(loaded, runs_dir, from_run)
        else:
            path, _, parent = locate(loaded, runs_dir, from_run)
            untold: list[str] = []
            check_code(loaded, path, parent, untold.append)
            notes, warnings = _rehearsed(loaded, path, parent)
            print_plan(loaded, runs_dir, from_run, resume.value, notes, [*untold, *warnings])


def _rehearsed(
    config: Experiment, path: Path, parent: Parent | None
) -> tuple[list[str], list[str]]:
    """Notes and warnings about data and model; where both are built in none, and no torch."""
    from advtrain.config.names import DATASETS, MODELS

    if config.model.name in MODELS and config.dataset.name in DATASETS and not config.model.weights:
        return [], []
    from advtrain.tasks.rehearsal import rehearse

    return rehearse(config, path, parent)


def _lead(
    config: Path, overrides: list[str], runs_dir: Path, device: str, resume: Resume,
    from_run: Path | None, quiet: bool, as_json: bool,
) -> Path:  # fmt: skip
    """Train under the eyes of the console; the run's directory."""
    from advtrain.config.load import load_config, located
    from advtrain.process.devices import check_device
    from advtrain.store.naming import locate
    from advtrain.terminal.live import watching

    with interruptible() as again, _company() as meet:
        check_device(device)
        loaded = load_config(config, overrides)
        with located(loaded):
            path, _, _ = locate(loaded, runs_dir, from_run)  # may fail, and need not wait for torch
            meet()
            try:
                with watching(quiet) as observer:
                    from advtrain.tasks.train import train as run_experiment

                    run_experiment(loaded, runs_dir, device=device, resume=resume.value,
                                   from_run=from_run, observer=observer)  # fmt: skip
            except (RunFailed, KeyboardInterrupt):
                if (path / "config.yaml").exists():
                    again[:] = _again(path, device, quiet, as_json)
                if as_json:
                    _show(path, as_json, quiet)
                raise
    return path


def _again(path: Path, device: str, quiet: bool, as_json: bool) -> list[str]:
    """The arguments of the command that goes on with this run, wherever it was begun from."""
    words = ["train", str(path)] + ([] if device == "auto" else ["--device", device])
    return words + ["--quiet"] * quiet + ["--json"] * as_json


@contextmanager
def _company() -> Iterator[Callable[[], None]]:
    """What lets the processes that this one leads begin, which until then only wait for its end."""
    from advtrain.process.ranks import place

    if place().size == 1:  # whose mistakes need not wait for torch
        yield lambda: None
        return
    from advtrain.tasks.train import joined, noticing

    with joined() as group, noticing(group):
        yield group.meet


def _follow(
    config: Path, overrides: list[str], runs_dir: Path, device: str, from_run: Path | None
) -> None:
    """Train as the first of torchrun's processes does, which alone speaks."""
    import signal

    from advtrain.config.load import load_config, located
    from advtrain.tasks.train import joined, noticing
    from advtrain.tasks.train import train as run_experiment

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # there is nothing to save yet
    with joined() as group, noted(), noticing(group):
        group.meet()  # a mistake of both is said once
        loaded = load_config(config, overrides)
        with located(loaded):
            run_experiment(loaded, runs_dir, device=device, from_run=from_run)


def _show(path: Path, as_json: bool, quiet: bool) -> None:
    """A run's results on stdout, if it got as far as having a status."""
    from rich.console import Console

    from advtrain.store.reader import Run
    from advtrain.store.run_status import read_status
    from advtrain.terminal.answer import print_headline
    from advtrain.terminal.live import summary

    run = Run(path)
    if as_json:
        if read_status(path):
            print_json(run.to_json() | {"verdict": _verdict(run)})
    elif quiet:
        console = Console(highlight=False)
        if verdict := Run(path).verdict:
            print_headline(verdict, console)
        console.print(str(path), markup=False, soft_wrap=True)
    else:
        summary(run, _verdict(run), Console(highlight=False))


def _verdict(run: Run) -> dict[str, Any] | None:
    """Today's verdict on a run that has one: its command is to be typed from here.

    That in verdict.json is as seen from where the run was trained, and of before a run was moved.
    """
    from advtrain.tasks.diagnose import diagnose_run

    stored = run.verdict
    try:
        return diagnose_run(run.dir).to_json() if stored else None
    except AdvtrainError:
        return stored
