"""What `advtrain report` prints: the answer, a row a cell, the differences, where the page is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from advtrain.report.numbers.outcome import OUTCOMES, listed
from advtrain.report.numbers.strengths import by_place, headline
from advtrain.terminal.answer import ASCII, GLYPHS, STYLES

_CONVERGED = {"converged": True, "not_converged": False, "undecided": None}
_SHOWN = 4  # cells without a counterpart that are named
_MOMENTS = {"last": "last epoch", "best": "best on validation"}


def print_report(content: Mapping[str, Any], console: Console) -> None:
    """The headline table on stdout; accuracies in per cent, mean ± sd over seeds."""
    say(content["answer"]["sentence"], console, "bold")
    for one in content["maps"]:
        side = "AB"[one["side"]] if len(content["sides"]) == 2 else ""
        where = ", ".join(filter(None, [side, one["heading"]]))
        say(f"{where}: {one['answer']}" if where else one["answer"], console)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("", "cell", "robust", "best", "clean", "converge", ""):
        numbers = name in ("robust", "best", "clean", "converge")
        table.add_column(name, justify="right" if numbers else "left", no_wrap=True)
    for cell in content["cells"]:
        figures = [cell["last"]["test_robust_acc"], cell["best"]["test_robust_acc"],
                   cell["last"]["test_clean_acc"]]  # fmt: skip
        table.add_row(
            _glyph(cell["outcome"], console),
            Text(_called(cell, content)),
            *(Text(spread(one)) for one in figures),
            f"{cell['converged']}/{len(cell['runs'])}",
            Text(cell["headline"] if len(cell["runs"]) == 1 else _unlike(cell)),
        )
    # A terminal breaks lines that are too long for it; a table made to fit would be unreadable.
    free = console.options.update(width=100_000)
    console.width = max(console.width, Measurement.get(console, free, table).maximum)
    console.print(table, soft_wrap=True)
    _print_evaluations(content, console)
    if content["comparison"]:
        _print_differences(content, console)
    for one in content["bands"]:
        say(str(one.get("text", "")), console)
    for note in content["notes"]:
        say(f"note: {note}", console)
    say(content["page"], console)


def _called(cell: Mapping[str, Any], content: Mapping[str, Any]) -> str:
    """The cell's label, of two sides with the side."""
    several = len(content["sides"]) > 1
    return f"{'AB'[cell['side']]}: {cell['label']}" if several else str(cell["label"])


def _print_evaluations(content: Mapping[str, Any], console: Console) -> None:
    """A line a cell that `advtrain evaluate` has measured."""
    told = [cell for cell in content["cells"] if cell["evaluations"]]
    if told:
        say("evaluation, ± sd over seeds or, of one seed, standard error", console, "bold")
    for cell in told:
        parts = []
        for by in by_place(cell["evaluations"]):
            of = next(iter(by.values()))
            ema = ", averaged weights" if of["weights"] == "ema" else ""
            figures = [f"{name} {spread(one)}" for name, one in by.items() if headline(name)]
            parts.append(f"{of['checkpoint']}{ema}, eps {of['eps']:.4g}: {', '.join(figures)}")
        count = sum(len(one["warnings"]) for one in cell["evaluations"])
        warned = f" ({count} {'warning' if count == 1 else 'warnings'})" if count else ""
        say(f"  {_called(cell, content)}, {'; '.join(parts)}{warned}", console)


def spread(one: Mapping[str, Any]) -> str:
    """A summary over seeds; of a single evaluated one with its standard error."""
    if one["mean"] is None:
        return "-"
    found = one["sd"] if one["sd"] is not None else one.get("se")
    more = f" ±{100 * found:.1f}" if found is not None else ""
    return f"{100 * one['mean']:.1f}{more}"


def say(text: str, console: Console, style: str = "") -> None:
    """A line as it is, never cut."""
    console.print(Text(text, style=style), soft_wrap=True)


def _unlike(cell: Mapping[str, Any]) -> str:
    """Why seeds do not converge, and how many have no verdict."""
    found = [listed(cell["reasons"])]
    found += [f"{cell[name]} {OUTCOMES[name][1]}" for name in ("failed", "unfinished")
              if cell[name]]  # fmt: skip
    return "; ".join(filter(None, found))


def _glyph(outcome: str, console: Console) -> Text:
    """The outcome's mark, in the colours of a verdict where it is one."""
    if outcome in _CONVERGED:
        converged = _CONVERGED[outcome]
        glyphs: Mapping[bool | None, str] = ASCII if console.options.ascii_only else GLYPHS
        return Text(glyphs[converged], style=STYLES[converged])
    glyph = OUTCOMES[outcome][0]
    plain = {"disagree": "#", "unfinished": "."}
    return Text(plain.get(outcome, glyph) if console.options.ascii_only else glyph)


def _print_differences(content: Mapping[str, Any], console: Console) -> None:
    names = [", ".join(dict.fromkeys(filter(None, [one["label"], one["name"]])))
             for one in content["sides"]]  # fmt: skip
    say(f"B minus A, test robust accuracy in points (A: {names[0]}; B: {names[1]})", console,
        "bold")  # fmt: skip
    for key, (a, b) in content["comparison"]["recipe"].items():
        say(f"  {key}: {a} -> {b}", console)
    for one in content["comparison"]["differences"]:
        if one["difference"] is None:
            said = "not measured on both sides"
        elif one["low"] is None:
            said = f"{100 * one['difference']:+.1f} (no interval: a side has one seed)"
        else:
            how = "paired by seed" if one["paired"] else "Welch"
            said = (f"{100 * one['difference']:+.1f} "
                    f"[{100 * one['low']:+.1f}, {100 * one['high']:+.1f}], 95%, {how}")  # fmt: skip
        say(f"  {one['label']}, {_MOMENTS[one['what']]}: {said}", console)
    for side in ("a", "b"):
        if alone := content["comparison"][f"only_{side}"]:
            more = f" and {len(alone) - _SHOWN} more" if len(alone) > _SHOWN else ""
            say(f"  only in {side.upper()}: {'; '.join(alone[:_SHOWN])}{more}", console)
