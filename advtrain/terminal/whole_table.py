"""Tables that are never cut: what stands in them is searched for and copied. Imports no torch."""

from __future__ import annotations

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text


def print_whole(table: Table, console: Console) -> None:
    """A line a row, as wide as its cells are; where that is too wide a terminal breaks the line.

    Made to fit, the table would break names in two. No line ends in blanks, which a terminal would
    show as empty lines. No cell may have two lines.
    """
    options = console.options.update(width=full_width(table, console))
    for segments in console.render_lines(table, options, pad=False):
        line = Text.assemble(*((part.text, part.style or "") for part in segments))
        line.rstrip()
        console.print(line, soft_wrap=True)


def full_width(table: Table, console: Console) -> int:
    """The columns of the screen that a table takes without being cut."""
    free = console.options.update(width=100_000)
    return Measurement.get(console, free, table).maximum
