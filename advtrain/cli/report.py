"""`advtrain report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from advtrain.cli.arguments import (
    AsJson,
    Check,
    Classes,
    Columns,
    RunsDir,
    check_runs_dir,
    print_json,
)
from advtrain.process.signals import interruptible


def report(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN | FOLDER | CSV ...]",
            help="Runs, sweeps, folders, or CSVs of epochs (- is standard input); by default the "
            "latest sweep or run in --runs-dir. Two are compared.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder for the page, figures and tables.")
    ] = Path("report"),
    reference: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="A published or earlier curve, drawn over the others."),
    ] = None,
    runs_dir: RunsDir = Path("runs"),
    columns: Columns = None,
    classes: Classes = None,
    check: Check = False,
    as_json: AsJson = False,
) -> None:
    """Make one page of maps, curves, reasons and examples; and figures and tables for a paper."""
    from rich.console import Console

    from advtrain.report.make import ReportRequest, make
    from advtrain.report.printed import print_report
    from advtrain.tasks.diagnose import parse_columns

    check_runs_dir(context, *paths or ())
    request = ReportRequest(
        tuple(paths or ()), out, parse_columns(columns or []), classes, reference, runs_dir
    )
    with interruptible("interrupted: the report is not whole"):
        content = make(request)
    if as_json:
        print_json(content)
    else:
        print_report(content, Console(highlight=False))
    runs = [run for cell in content["cells"] for run in cell["runs"]]
    if check and any(run["verdict"]["converged"] is not True for run in runs):
        raise typer.Exit(3)
