"""What became of runs: `advtrain report`, `advtrain diagnose` and `advtrain status`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from advtrain.cli.arguments import AsJson, print_json
from advtrain.interrupt import interruptible

Columns = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=COLUMN", help="A column of a foreign CSV by our name; may be repeated."
    ),
]
Classes = Annotated[
    int | None,
    typer.Option(min=2, max=1_000_000, help="Classes of a foreign CSV, all equally frequent."),
]
Check = Annotated[bool, typer.Option("--check", help="End with 3 unless every one has converged.")]


def report(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN | FOLDER | CSV ...]",
            help="Runs, sweeps, or CSVs of epochs; by default the latest sweep or run in runs/. "
            "Two are compared.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where page, figures and tables go.")
    ] = Path("report"),
    reference: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="A published or earlier curve to lay over the others."),
    ] = None,
    columns: Columns = None,
    classes: Classes = None,
    check: Check = False,
    as_json: AsJson = False,
) -> None:
    """Show convergence on one page: maps, curves, reasons, examples; figures for a paper."""
    from rich.console import Console

    from advtrain.diagnose import parse_columns
    from advtrain.report.command import Request, make
    from advtrain.report.printed import print_report

    request = Request(tuple(paths or ()), out, parse_columns(columns or []), classes, reference)
    with interruptible("interrupted: the report is not whole"):
        content = make(request)
    if as_json:
        print_json(content)
    else:
        print_report(content, Console(highlight=False))
    runs = [run for cell in content["cells"] for run in cell["runs"]]
    if check and any(run["verdict"]["converged"] is not True for run in runs):
        raise typer.Exit(3)


def diagnose(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="RUN | FOLDER | CSV ...", help="Runs, or CSVs of epochs."),
    ],
    columns: Columns = None,
    classes: Classes = None,
    check: Check = False,
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
