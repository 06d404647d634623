"""`advtrain status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from advtrain.cli.arguments import AsJson, RunsDir, check_runs_dir, print_json


def status(
    context: typer.Context,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="A folder of runs; by default --runs-dir."),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """List the runs in a folder: their state, epochs and latest accuracies."""
    from advtrain.store.reader import runs_below
    from advtrain.terminal.overview import print_status, status_json

    check_runs_dir(context, folder)
    folder = folder or runs_dir
    runs = runs_below(folder)
    if as_json:
        print_json(status_json(runs))
    else:
        print_status(runs, folder)
