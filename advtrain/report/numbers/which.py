"""Which values converge where: a map of verdicts in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from advtrain.config.expressions import number
from advtrain.report.input.cells import Cell, Map, MapAxis
from advtrain.report.numbers.outcome import of_cell
from advtrain.report.numbers.over_seeds import final, over

_LISTED = 4  # values that are named one by one
_PARTS = 6  # of a sentence; further rows are only counted
_OPEN = {"undecided", "unfinished", "failed"}  # outcomes that may yet become another


@dataclass(frozen=True)
class _Row:
    """What came of a row's cells: the columns where all seeds converge, and where some do."""

    every: tuple[str, ...]
    some: tuple[str, ...]
    best: str  # of `every`, by accuracy on validation; empty if there is nothing to choose
    open: bool  # whether there are cells whose outcome is not known


def answer(one: Map) -> str:
    """For which rows which columns converge, as in `At eps 0.1 and 0.2, lr 0.05 converges.`.

    `best on validation` is told by the mean robust accuracy on validation in the last epoch, the
    clean one where nobody attacks: the test set chooses nothing.
    """
    labels = one.rows.labels if one.rows else ("",)
    found: dict[_Row, list[str]] = {}
    for label, cells in zip(labels, one.cells, strict=True):
        found.setdefault(_row(one.columns, cells), []).append(label)
    parts = []
    for row, at in list(found.items())[:_PARTS]:
        where = f"at {one.rows.name} {_listed(one.rows, at)}, " if one.rows else ""
        parts.append(where + _said(one.columns, row))
    left = sum(len(at) for at in list(found.values())[_PARTS:])
    parts += [f"the map shows {left} more values of {one.rows.name}"] if left and one.rows else []
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if one.rows else f"{text}."


def _row(columns: MapAxis, cells: Sequence[Cell | None]) -> _Row:
    at = [(label, cell) for label, cell in zip(columns.labels, cells, strict=True) if cell]
    every = [(label, cell) for label, cell in at if of_cell(cell) == "converged"]
    return _Row(
        tuple(label for label, _ in every),
        tuple(label for label, cell in at if of_cell(cell) == "disagree" and _some(cell)),
        _best(every) if len(every) > 1 else "",
        any(of_cell(cell) in _OPEN for _, cell in at),
    )


def _some(cell: Cell) -> bool:
    return any(entry.result.verdict.converged for entry in cell.entries)


def _best(cells: Sequence[tuple[str, Cell]]) -> str:
    """The position of the highest accuracy on validation; empty if it is not known of all."""
    found = {label: _validation(cell) for label, cell in cells}
    known = {label: value for label, value in found.items() if value is not None}
    return max(known, key=known.__getitem__) if len(known) == len(found) else ""


def _validation(cell: Cell) -> float | None:
    table = cell.lead.result.table
    return over(cell.entries, final, f"val_{table.kind}_acc").mean if table else None


def _said(axis: MapAxis, row: _Row) -> str:
    """A row in words, without where it is."""
    some = f"{axis.name} {_listed(axis, row.some)} with some seeds only"
    if row.every:
        if len(row.every) == len(axis.labels) > 1:
            text = f"every {axis.name} converges"
        else:
            verb = "converges" if len(row.every) == 1 else "converge"
            text = f"{axis.name} {_listed(axis, row.every)} {verb}"
        text += f" (best on validation: {axis.shown[row.best]})" if row.best else ""
        return f"{text}, {some}" if row.some else text
    if row.some:
        return some.replace(" with", " converges with" if len(row.some) == 1 else " converge with")
    return f"no {axis.name} is known to converge" if row.open else f"no {axis.name} converges"


def _listed(axis: MapAxis, values: Sequence[str]) -> str:
    """`a, b and c`; `a to z` of many numbers that stand side by side."""
    shown = [axis.shown[value] for value in values]
    if len(values) <= _LISTED:
        return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))
    first = axis.labels.index(values[0])
    if tuple(values) == axis.labels[first : first + len(values)] and all(map(_number, values)):
        return f"{shown[0]} to {shown[-1]}"
    return f"{', '.join(shown[: _LISTED - 1])} and {len(values) - _LISTED + 1} more"


def _number(text: str) -> bool:
    try:
        number(text)
    except ValueError:
        return False
    return True
