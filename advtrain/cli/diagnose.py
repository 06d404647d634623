"""`advtrain diagnose`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from advtrain.cli.arguments import AsJson, Check, Classes, Columns, print_json


def diagnose(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN | FOLDER | CSV ...",
            help="Runs, folders, or CSVs of epochs (- is standard input).",
        ),
    ],
    columns: Columns = None,
    classes: Classes = None,
    check: Check = False,
    as_json: AsJson = False,
) -> None:
    """Say whether a training converges, why not, and what to change."""
    from rich.console import Console

    from advtrain.tasks.diagnose import cells, check_any_judged, diagnose_all, parse_columns
    from advtrain.terminal.answer import print_results

    found = diagnose_all(paths, parse_columns(columns or []), classes)
    results, together = [r.to_json() for r in found], [c.to_json() for c in cells(found)]
    if as_json:
        print_json({"results": results, "cells": together})
    check_any_judged(found)
    if not as_json:
        print_results(results, together, Console(highlight=False))
        for result in found:
            for change in result.changed:
                print(f"{result.path}: changed by newer rules: {change}")
    if check and any(result.verdict.converged is not True for result in found):
        raise typer.Exit(3)
