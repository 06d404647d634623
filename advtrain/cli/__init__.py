"""The command line: arguments in, exit codes out.

Each command imports what it needs when it runs: `--help` stays quick, and torch is imported only
where a command trains.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from advtrain import __version__
from advtrain.cli.catalogue import datasets, models, schema
from advtrain.cli.diagnose import diagnose
from advtrain.cli.evaluate import evaluate
from advtrain.cli.report import report
from advtrain.cli.status import status
from advtrain.cli.sweep import sweep
from advtrain.cli.train import train
from advtrain.errors import AdvtrainError, Interrupted, Lost

app = typer.Typer(
    help="Does my adversarial training converge, and if not, why?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    train,
    sweep,
    report,
    diagnose,
    evaluate,
    status,
    models,
    datasets,
    schema,
):  # as --help lists them
    app.command()(command)


def _version(asked: bool) -> None:
    if asked:
        print(f"advtrain {__version__}")
        raise typer.Exit


@app.callback()
def begin(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Refuse under torchrun what one process does alone."""
    from advtrain.process.ranks import follows, place

    command = context.invoked_subcommand
    if place().size == 1 or command == "train":
        return
    if follows():  # the first process says it
        sys.exit(0)
    raise AdvtrainError(
        f"advtrain {command}: this is for one process; only advtrain train may be started by "
        f"torchrun, and here it started {place().size}"
    )


def main() -> None:
    """Run the command line; a user's mistake is one clear message, never a traceback."""
    try:
        app()
    except AdvtrainError as error:
        from advtrain.process.ranks import follows

        # What ended the other process is said there, and what is saved by the first.
        if not (isinstance(error, Lost | Interrupted) and follows()):
            print(error, file=sys.stderr)
        _end(error.exit_code)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception:
        if not _connected():
            raise
        traceback.print_exc()
        _end(1)


def _end(code: int) -> None:
    """Exit; connected to other processes without Python's cleaning up, which gloo may abort."""
    if _connected():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _connected() -> bool:
    """Whether other processes of a run are connected to this one."""
    distributed = sys.modules.get("torch.distributed")
    return distributed is not None and bool(distributed.is_initialized())
