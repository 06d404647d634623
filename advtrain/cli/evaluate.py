"""`advtrain evaluate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from advtrain.cli.arguments import AsJson, Device, print_json
from advtrain.errors import AdvtrainError
from advtrain.process.signals import interruptible

if TYPE_CHECKING:
    from rich.console import Console

    from advtrain.store.evaluation_csv import EvaluationResult
    from advtrain.tasks.evaluate import Advance


class AttackName(StrEnum):
    """How hard to attack."""

    pgd = "pgd"
    autoattack = "autoattack"


def evaluate(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN ...", help="Runs, or folders of finished runs.")
    ],
    attack: Annotated[
        AttackName, typer.Option(help="pgd, or pgd followed by standard AutoAttack.")
    ] = AttackName.pgd,
    eps: Annotated[
        str | None,
        typer.Option(
            metavar="V1,V2", help="Radii, such as 4/255,8/255; by default that of training."
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of PGD, of size 2.5*eps/steps.")] = 50,
    restarts: Annotated[int, typer.Option(min=1, help="Random starts of PGD.")] = 10,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            metavar="best|last|FILE",
            help="Which weights; by default best if there are any. FILE may be any state_dict.",
        ),
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=1, help="Test images, stratified; by default all.")
    ] = None,
    ema: Annotated[
        bool, typer.Option("--ema", help="Attack the averaged weights (training.ema).")
    ] = False,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Attack a run's weights harder than training did; an interrupted evaluation continues."""
    from rich.console import Console

    from advtrain.process.devices import check_device
    from advtrain.store.evaluated import chosen_runs

    console = Console(stderr=True, highlight=False)

    def warn(text: str) -> None:
        console.print(f"warning: {text}", style="yellow", markup=False, soft_wrap=True)

    radii = _radii(eps)
    check_device(device)
    chosen = chosen_runs(runs, checkpoint, warn)
    with interruptible("interrupted: what was measured is kept"), _progress(console) as progress:
        from advtrain.tasks.evaluate import EvaluationRequest, evaluate_runs

        request = EvaluationRequest(
            attack.value, radii, steps, restarts, images, ema, device, eps or ""
        )
        results = evaluate_runs(chosen, request, warn=warn, progress=progress)
    if as_json:
        print_json({"results": [result.to_json() for result in results]})
    else:
        _print(results, Console(highlight=False))


def _radii(text: str | None) -> tuple[float, ...] | None:
    """The numbers of `--eps`."""
    from advtrain.config.expressions import number

    if text is None:
        return None
    found = []
    for part in text.split(","):
        try:
            value = number(part)
        except ValueError as error:
            raise AdvtrainError(f"argument '--eps {text}': {error}") from None
        if value <= 0:
            raise AdvtrainError(f"argument '--eps {text}': expected numbers above 0")
        found.append(value)
    return tuple(found)


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[Advance], None]]:
    """What shows each batch: a bar on a terminal, else a line."""
    if not console.is_terminal:
        yield lambda at: console.print(
            f"{_stage(at)}: batch {at.done} of {at.batches}, {at.left:.1%} left",
            markup=False,
            soft_wrap=True,
        )
        return
    from rich.progress import BarColumn, Progress, TextColumn

    text = TextColumn("{task.description}", markup=False)
    with Progress(text, BarColumn(), TextColumn("{task.fields[share]}"), console=console) as bars:
        task = bars.add_task("loading", total=None, share="")

        def show(at: Advance) -> None:
            share = f"{at.done} of {at.batches} batches, {at.left:.1%} left"
            bars.update(task, description=_stage(at), completed=at.done, total=at.batches,
                        share=share)  # fmt: skip

        yield show


def _stage(at: Advance) -> str:
    return f"{at.run.name}: eps {at.eps:.4g}: {at.stage}"


def _print(results: list[EvaluationResult], console: Console) -> None:
    """A table for each run and eps."""
    from rich.table import Table

    for result in results:
        head = result.rows[0]
        weights = "averaged weights, " if head.weights == "ema" else ""
        epoch = "" if head.epoch is None else f" (epoch {head.epoch})"
        what = f"{head.checkpoint}{epoch}, {weights}{head.norm} eps {head.eps:.4g}"
        text = f"{result.path}: {what}, {head.images} images"
        console.print(text, markup=False, soft_wrap=True)
        table = Table("attack")
        table.add_column("accuracy", justify="right")
        table.add_column("seconds", justify="right")
        for row in result.rows:
            accuracy = f"{100 * row.accuracy:.1f} ± {100 * row.se:.1f}%"
            doubtful = " !" if row.warnings else ""  # stderr says why
            table.add_row(row.attack, accuracy + doubtful, f"{row.seconds:.1f}")
        console.print(table)
