"""What came of a run and of a cell: one word for each, with its glyph. Its only home."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from advtrain.report.input.cells import Cell
from advtrain.report.input.gather import CSV_STATE, Entry
from advtrain.terminal.answer import GLYPHS

# Glyph, and how it is said of a run and of a cell.
OUTCOMES: dict[str, tuple[str, str, str]] = {
    "converged": (GLYPHS[True], "converged", "every seed converges"),
    "not_converged": (GLYPHS[False], "not converged", "no seed converges"),
    "undecided": (GLYPHS[None], "cannot tell", "cannot tell"),
    "disagree": ("≠", "seeds disagree", "seeds disagree"),
    "failed": ("!", "failed", "failed"),
    "unfinished": ("…", "not finished", "not finished"),
}
VERDICTS = {True: "converged", False: "not_converged", None: "undecided"}


def of_entry(entry: Entry) -> str:
    """The verdict of a finished run or a CSV, `failed`, or `unfinished`.

    A file that cannot be read has failed; a run that was stopped can go on.
    """
    if entry.state in ("finished", CSV_STATE) and entry.result.table is not None:
        return VERDICTS[entry.result.verdict.converged]
    broken = entry.state in ("failed", "unreadable", "finished", CSV_STATE)
    return "failed" if broken or entry.error else "unfinished"


def of_cell(cell: Cell) -> str:
    """What its judged seeds say together; `failed` or `unfinished` where none is judged.

    Seeds disagree if one converges and another does not; one that is undecided may yet do either.
    """
    found = {of_entry(entry) for entry in cell.entries}
    judged = found - {"failed", "unfinished"}
    if {"converged", "not_converged"} <= judged:
        return "disagree"
    if judged:
        return judged.pop() if len(judged) == 1 else "undecided"
    return "failed" if "failed" in found else "unfinished"


def counts(cell: Cell) -> dict[str, int]:
    """How many of a cell's runs ended how; `judged` are those with a last word."""
    found = [of_entry(entry) for entry in cell.entries]
    each = {name: found.count(name) for name in OUTCOMES if name != "disagree"}
    judged = sum(each[name] for name in VERDICTS.values())
    return each | {"runs": len(found), "judged": judged}


def by_seed(runs: Sequence[Mapping[str, Any]]) -> str:
    """What each run of a cell came to, those of one outcome together."""
    found: dict[str, list[str]] = {name: [] for name in OUTCOMES}
    for run in runs:
        found[run["outcome"]].append("?" if run["seed"] is None else str(run["seed"]))
    return "; ".join(
        f"{OUTCOMES[name][1]}: seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}"
        for name, seeds in found.items() if seeds
    )  # fmt: skip


def sentence(cells: list[dict[str, Any]], total: Mapping[str, int]) -> str:
    """How many runs and cells converge, and what stands in the way of the others."""
    parts = [f"{total['converged']} of {total['runs']} runs converge"]
    if len(cells) < total["runs"]:
        every = sum(cell["outcome"] == "converged" for cell in cells)
        which = "seed" if total["judged"] == total["runs"] else "finished seed"
        parts.append(f"{every} of {len(cells)} cells with every {which}")
    if disagreeing := sum(cell["outcome"] == "disagree" for cell in cells):
        parts.append(f"{disagreeing} with seeds that disagree")
    parts += [f"{total[name]} {OUTCOMES[name][1]}" for name in ("failed", "unfinished")
              if total[name]]  # fmt: skip
    return "; ".join(parts)
