"""A verdict as the terminal shows it. Imports no torch."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {True: "bold green", False: "bold red", None: "bold yellow"}
GLYPHS = {True: "✓", False: "✗", None: "?"}
ASCII = {True: "+", False: "x", None: "?"}  # for terminals without the others
_MOST_IN_FULL = 3  # results; more are a row each


def print_results(
    results: Sequence[Mapping[str, Any]], cells: Sequence[Mapping[str, Any]], console: Console
) -> None:
    """A few verdicts in full, many in brief; then what several seeds say together."""
    for result in results:
        if len(results) > _MOST_IN_FULL:
            _print_briefly(result, console)
        else:
            console.print(Text(str(result["path"]), style="dim"), soft_wrap=True)
            print_verdict(result, console)
    for cell in cells:
        console.print(Text(f"{cell['headline']}: {_common(cell['paths'])}"), soft_wrap=True)


def print_verdict(result: Mapping[str, Any], console: Console) -> None:
    """Headline, the four axes with their rules, and the suggestion."""
    print_headline(result, console)
    if result["cause"] == "unjudged":  # the headline says why, and so would each axis
        return
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, axis in result["axes"].items():
        table.add_row(f"  {name.replace('_', '-')}", axis["state"], Text(_evidence(axis)))
    console.print(table)
    for note in result["notes"]:
        console.print(Text(f"  note: {note}"), soft_wrap=True)
    if suggestion := result["suggestion"]:
        for i, change in enumerate(suggestion["text"].split("; ")):  # one a line
            lead = "     " if i else "try: "
            console.print(Text(f"{lead}{change}", style="bold"), soft_wrap=True)
        typed = suggestion["command"] or shlex.join(suggestion["overrides"])
        if typed:
            console.print(Text(f"  {typed}"), soft_wrap=True)


def print_headline(result: Mapping[str, Any], console: Console) -> None:
    """The answer in one line."""
    console.print(_headline(result, console), soft_wrap=True)


def _headline(result: Mapping[str, Any], console: Console) -> Text:
    converged = result["converged"]
    glyphs = ASCII if console.options.ascii_only else GLYPHS
    return Text(f"{glyphs[converged]} {result['headline']}", style=STYLES[converged])


def _evidence(axis: Mapping[str, Any]) -> str:
    """The rule, and the interval and epochs it looked at."""
    text, numbers = str(axis["rule"]), axis["numbers"]
    if numbers.get("low") is not None:
        text += f"; change {numbers['change']:+.3g} [{numbers['low']:+.3g}, {numbers['high']:+.3g}]"
    if "distance" in numbers:
        text += f"; {numbers['accuracy']:.1%}, {100 * numbers['distance']:+.1f} points from chance"
    if axis["epochs"] and axis["epochs"][0] != axis["epochs"][1]:
        text += f"; epochs {axis['epochs'][0]} to {axis['epochs'][1]}"
    return text


def _print_briefly(result: Mapping[str, Any], console: Console) -> None:
    console.print(Text(str(result["path"]), style="dim"), soft_wrap=True)
    console.print(Text("  ").append(_headline(result, console)), soft_wrap=True)
    if suggestion := result["suggestion"]:
        said = suggestion["command"] or shlex.join(suggestion["overrides"]) or suggestion["text"]
        console.print(Text(f"    try {said}"), soft_wrap=True)


def _common(paths: Sequence[str]) -> str:
    """What paths of the same cell share: their names up to the seed."""
    return str(paths[0]).rpartition("-s")[0] or str(paths[0])
