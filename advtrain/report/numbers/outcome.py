"""What came of a run and of a cell: one word for each, with its glyph. Its only home."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
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
    """What its judged seeds say together; `failed` or `unfinished` where none is judged."""
    found = {of_entry(entry) for entry in cell.entries}
    judged = found - {"failed", "unfinished"}
    if judged:
        return judged.pop() if len(judged) == 1 else "disagree"
    return "failed" if "failed" in found else "unfinished"


def counts(cell: Cell) -> dict[str, int]:
    """How many of a cell's runs ended how; `judged` are those with a last word."""
    found = [of_entry(entry) for entry in cell.entries]
    each = {name: found.count(name) for name in OUTCOMES if name != "disagree"}
    judged = sum(each[name] for name in VERDICTS.values())
    return each | {"runs": len(found), "judged": judged}


# A verdict's cause in a word or two, where its name is none.
_REASONS = {
    "nonfinite": "not finite",
    "no_held_out": "no held-out data",
    "level_unresolved": "near chance",
    "train_unresolved": "too noisy",
    "unresolved": "too noisy",
    "drop_pending": "lr drop pending",
    "lr_moves": "lr still moves",
    "departs": "not at rest",
}


def reasons(cell: Cell) -> dict[str, int]:
    """Why runs do not converge, or are not known to: each cause with how many, most first."""
    judged = [e for e in cell.entries if of_entry(e) in ("not_converged", "undecided")]
    causes = [entry.result.verdict.cause for entry in judged]
    said = [_REASONS.get(cause, cause.replace("_", " ")) for cause in causes]
    return dict(Counter(said).most_common())


def listed(counts: Mapping[str, int]) -> str:
    """`12 stuck, 1 broken`."""
    return ", ".join(f"{count} {words}" for words, count in counts.items())


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
