"""Which figures a report has, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from advtrain.errors import AdvtrainError
from advtrain.report.figures.accuracy_map import accuracy_map, accuracy_map_alt
from advtrain.report.figures.all_cells import overview, overview_alt
from advtrain.report.figures.comparison import differences, differences_alt, overlay, overlay_alt
from advtrain.report.figures.curves import curves, curves_alt
from advtrain.report.figures.drawing import Drawing
from advtrain.report.figures.examples import examples, examples_alt
from advtrain.report.figures.verdict_map import verdict_map, verdict_map_alt
from advtrain.report.figures.why import why, why_alt
from advtrain.report.input.cells import Cell
from advtrain.report.input.gather import CSV_STATE
from advtrain.report.input.labels import plain
from advtrain.report.numbers.content import Reference, Report, at_eps
from advtrain.report.numbers.over_seeds import final, over
from advtrain.store.examples_npz import read_examples


def pictures(report: Report) -> tuple[list[Drawing], list[str]]:
    """The figures to draw, and notes about files that cannot be read.

    Names: `verdicts-0`, `accuracy-0`, `accuracy-0-eps0.1`; `overview`; `differences` and
    `compare-CELL`; `CELL-curves`, `CELL-why`, `CELL-examples`.
    """
    notes: list[str] = []
    found = [*_maps(report), *_compared(report)]
    for cell in report.cells:
        found += _of_cell(cell, report.reference, notes)
    return found, notes


def _drawing(
    name: str, make: Callable[..., Figure], alt: Callable[..., str], *arguments: Any
) -> Drawing:
    return Drawing(name, alt(*arguments), partial(make, *arguments))


def _maps(report: Report) -> Iterator[Drawing]:
    """Each map by verdict, by accuracy, and by accuracy at each common eps; all cells in a row."""
    for i, one in enumerate(report.maps):
        cells = [cell for row in one.cells for cell in row if cell is not None]
        bands = report.sides[one.side].bands
        yield _drawing(f"verdicts-{i}", verdict_map, verdict_map_alt, one, bands)
        finals = {c.id: over(c.entries, final, "test_robust_acc") for c in cells}
        yield _drawing(f"accuracy-{i}", accuracy_map, accuracy_map_alt, one, finals)
        for eps in report.common_eps:
            values = {cell.id: at_eps(cell, eps) for cell in cells}
            title = f"Robust accuracy at eps {eps:g}, %"
            yield _drawing(
                f"accuracy-{i}-eps{eps:g}", accuracy_map, accuracy_map_alt, one, values, title
            )
    if len(report.cells) > 1:
        yield _drawing("overview", overview, overview_alt, report.cells, len(report.sides) > 1)


def _compared(report: Report) -> Iterator[Drawing]:
    found = report.comparison
    if found is None or not found.pairs:
        return
    yield _drawing("differences", differences, differences_alt, found.differences)
    for a, b in found.pairs:
        yield _drawing(f"compare-{a.id}", overlay, overlay_alt, a, b, report.side_names)


def _of_cell(cell: Cell, reference: Reference | None, notes: list[str]) -> Iterator[Drawing]:
    """The curves, the reasons, and the examples of the first of its runs that has some."""
    beside = None
    if reference is not None and (table := reference.entry.result.table) is not None:
        beside = (plain(reference.name), table.epoch, reference.entry.columns)
    yield _drawing(f"{cell.id}-curves", curves, curves_alt, cell, beside)
    yield _drawing(f"{cell.id}-why", why, why_alt, cell)
    for entry in cell.entries:
        if entry.state == CSV_STATE:
            continue
        try:
            found = read_examples(entry.path / "examples.npz")
        except AdvtrainError as error:
            notes.append(plain(str(error)))
            continue
        if found is not None:
            run = f"seed {entry.seed}" if len(cell.entries) > 1 else ""
            yield _drawing(f"{cell.id}-examples", examples, examples_alt, found, run)
            return
