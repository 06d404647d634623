"""`advtrain status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from advtrain.cli.arguments import AsJson, print_json


def status(
    folder: Annotated[Path, typer.Argument(help="Where to look for runs.")] = Path("runs"),
    as_json: AsJson = False,
) -> None:
    """List the runs below a folder and what became of them."""
    from advtrain.store.reader import runs_below
    from advtrain.terminal.overview import print_status, status_json

    runs = runs_below(folder)
    if as_json:
        print_json(status_json(runs))
    else:
        print_status(runs, folder)
