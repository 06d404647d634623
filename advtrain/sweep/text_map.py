"""The grid as a map in the terminal: a glyph for each run's verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product

from rich.console import Console
from rich.table import Table
from rich.text import Text

from advtrain.config.expressions import number
from advtrain.config.grid import GridAxis
from advtrain.sweep.board import Board, Outcome
from advtrain.sweep.plan import Planned
from advtrain.terminal.answer import ASCII, GLYPHS, STYLES
from advtrain.terminal.whole_table import full_width, print_whole

FAILED, RUNNING, WAITING = "!", ">", "·"
_MEANING = {True: "converged", False: "not converged", None: "not yet, or cannot tell"}


def print_map(board: Board, axes: Sequence[GridAxis], console: Console) -> None:
    """One map of the first two axes with several points for each combination of the others."""
    ascii_only = console.options.ascii_only
    for heading, table in maps(board, axes, console):
        if heading:
            console.print(Text(heading, style="bold"))
        print_whole(table, console)  # a map that is cut says the wrong thing
    glyphs = ASCII if ascii_only else GLYPHS
    outcomes = [board.of(run) for run in board.runs]
    for converged, glyph in glyphs.items():
        causes = Counter(o.cause for o in outcomes if o.finished and o.converged is converged)
        if causes:
            listed = ", ".join(f"{count} {cause}" for cause, count in causes.most_common())
            text = f"{glyph} {_MEANING[converged]}: {listed}"
            console.print(Text(text, style=STYLES[converged]), soft_wrap=True)
    if failed := sum(o.failed for o in outcomes):
        console.print(Text(f"{FAILED} failed: {failed}", style=STYLES[False]))
    if waiting := sum(not o.finished and not o.failed for o in outcomes):
        console.print(Text(f"{_waiting(ascii_only)} not finished: {waiting}", style="dim"))


def maps(
    board: Board, axes: Sequence[GridAxis], console: Console, *, live: bool = False
) -> list[tuple[str, Table]]:
    """Each map with what the axes that it does not show stand at.

    The first axis goes down and the second across, or the other way where only that fits.
    """
    labels = [_labels(board.runs, axes, i) for i in range(len(axes))]
    several = [i for i, found in enumerate(labels) if len(found) > 1]
    shown: tuple[int | None, int | None] = (None, several[0] if several else None)
    if len(several) > 1:
        shown = (several[0], several[1])
    others = [i for i in range(len(axes)) if i not in shown]
    result = []
    for fixed in product(*(labels[i] for i in others)):
        at: dict[int | None, str] = dict(zip(others, fixed, strict=True))
        table = _map(board, axes, labels, at, shown, console, live)
        if full_width(table, console) > console.width:
            turned = _map(board, axes, labels, at, (shown[1], shown[0]), console, live)
            table = min(turned, table, key=lambda one: full_width(one, console))
        heading = ", ".join(f"{_name(axes, i)} {label}" for i, label in at.items()
                            if i is not None and len(labels[i]) > 1)  # fmt: skip
        result.append((heading, table))
    return result


def _map(
    board: Board, axes: Sequence[GridAxis], labels: Sequence[Sequence[str]],
    at: Mapping[int | None, str], shown: tuple[int | None, int | None], console: Console,
    live: bool,
) -> Table:  # fmt: skip
    """The map over two axes, or one, with the others at fixed points."""
    runs: dict[tuple[str, ...], list[Planned]] = {}
    for run in board.runs:
        runs.setdefault(point_labels(run, axes), []).append(run)
    rows, columns = (labels[i] if i is not None else [""] for i in shown)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    corner = " \\ ".join(_name(axes, i) for i in shown if i is not None)
    table.add_column(Text(corner), style="bold", no_wrap=True)  # as it is: it may look like markup
    for label in columns:
        table.add_column(Text(label), no_wrap=True)
    for row in rows:
        cells = []
        for column in columns:
            here = {**at, shown[0]: row, shown[1]: column}
            key = tuple(here[i] for i in range(len(axes)))
            outcomes = [board.of(run) for run in runs.get(key, [])]
            cells.append(cell_text(outcomes, console.options.ascii_only, live=live))
        table.add_row(Text(row), *cells)
    return table


def cell_text(outcomes: Sequence[Outcome], ascii_only: bool = False, *, live: bool = False) -> Text:
    """A glyph a seed, and how many converge where there are several.

    `live`: instead of how many, the latest robust accuracy (the seeds' mean) and, while one is
    trained, its epoch.
    """
    text = Text()
    for outcome in outcomes:
        text.append(*glyph_of(outcome, ascii_only))
    if not live:
        if len(outcomes) > 1:
            text.append(f" {sum(o.converged is True for o in outcomes)}/{len(outcomes)}")
        return text
    for outcome in outcomes:
        if outcome.state == "running":
            text.append(f" {outcome.epoch}/{outcome.epochs}", style="dim")
    known = [o.last for o in outcomes if o.last is not None]
    if known:
        text.append(f" {sum(known) / len(known):.1%}")
    return text


def glyph_of(outcome: Outcome, ascii_only: bool = False) -> tuple[str, str]:
    """The glyph of a run, with its style."""
    if outcome.finished:
        glyphs = ASCII if ascii_only else GLYPHS
        return glyphs[outcome.converged], STYLES[outcome.converged]
    if outcome.failed:
        return FAILED, STYLES[False]
    return (RUNNING, "bold") if outcome.state == "running" else (_waiting(ascii_only), "dim")


def point_labels(run: Planned, axes: Sequence[GridAxis]) -> tuple[str, ...]:
    """The run's place on each axis."""
    return tuple(axis.label(values) for axis, values in zip(axes, run.point, strict=True))


def _labels(runs: Sequence[Planned], axes: Sequence[GridAxis], i: int) -> list[str]:
    """The positions on an axis, numbers by size."""
    found = list(dict.fromkeys(axes[i].label(run.point[i]) for run in runs))
    try:
        return sorted(found, key=number)
    except ValueError:
        return found


def _name(axes: Sequence[GridAxis], i: int | None) -> str:
    return "" if i is None else "/".join(axes[i].names)


def _waiting(ascii_only: bool) -> str:
    return "." if ascii_only else WAITING
