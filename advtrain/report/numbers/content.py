"""Every number of the report as one object: what the page shows and `--json` prints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from advtrain.diagnosis.seeds import wilson
from advtrain.report.input.cells import Cell, Map, MapAxis, cells_of, maps_of
from advtrain.report.input.gather import WAITING, Entry, Side
from advtrain.report.input.labels import MISSING, differing, plain, typed_key
from advtrain.report.numbers import outcome, which
from advtrain.report.numbers.compare import Comparison, compare, side_names
from advtrain.report.numbers.outcome import OUTCOMES
from advtrain.report.numbers.over_seeds import (
    Moment,
    SeedBand,
    Summary,
    band,
    best,
    final,
    oracle,
    over,
    summary,
)
from advtrain.report.numbers.run_numbers import CURVES, finite, run_numbers
from advtrain.report.numbers.strengths import strengths


def _peak(entry: Entry, column: str) -> float | None:
    """The test peak alone."""
    found = oracle(entry, column)
    return found[1] if found else None


_MOMENTS: dict[str, Moment] = {"last": final, "best": best, "oracle": _peak}
_FIGURES = ("test_clean_acc", "test_robust_acc")  # of which last, best and oracle are told
_AVERAGED = ("ema_test_clean_acc", "ema_test_robust_acc")  # of averaged weights, last alone


@dataclass(frozen=True)
class Reference:
    """A published or earlier curve to lay over the others."""

    name: str
    entry: Entry


@dataclass(frozen=True)
class Report:
    """Sides, cells and maps: what is drawn."""

    sides: tuple[Side, ...]
    axes: tuple[MapAxis, ...]
    cells: tuple[Cell, ...]
    maps: tuple[Map, ...]
    comparison: Comparison | None
    reference: Reference | None

    @property
    def entries(self) -> list[Entry]:
        """Every run and CSV."""
        return [entry for cell in self.cells for entry in cell.entries]

    @property
    def side_names(self) -> tuple[str, ...]:
        """What two sides are called by their recipes; empty where these do not differ."""
        names = side_names(self.cells) if self.comparison else [""] * len(self.sides)
        return tuple(map(plain, names))

    @property
    def common_eps(self) -> list[float]:
        """The eps that all cells share which were measured at some after their last epoch."""
        measured = [{point[0] for entry in cell.entries for point in entry.curve_eps}
                    for cell in self.cells]  # fmt: skip
        measured = [found for found in measured if found]
        return sorted(set.intersection(*measured)) if measured else []


def report_on(sides: Sequence[Side], reference: Reference | None) -> Report:
    """The report's structure; two sides are compared."""
    axes, cells = cells_of(sides)
    comparison = compare(cells) if len(sides) == 2 else None
    return Report(
        tuple(sides), tuple(axes), tuple(cells), tuple(maps_of(axes, cells)), comparison, reference
    )


def content(report: Report, out: Path) -> dict[str, Any]:
    """The object; `out` is where the page and the figures go. Not measured or finite: None."""
    cells = [_cell(cell, full, report.common_eps)
             for cell, full in zip(report.cells, _full(report), strict=True)]  # fmt: skip
    return {
        "version": version("advtrain"),
        "title": _title(report),
        "sides": _sides(report),
        "answer": _answer(cells, report),
        "axes": [asdict(axis) | {"shown": [*axis.shown.values()]} for axis in report.axes],
        "maps": [_map(one) for one in report.maps],
        "bands": [dict(row) | {"side": i} for i, s in enumerate(report.sides) for row in s.bands],
        "common_eps": report.common_eps,
        "cells": cells,
        "comparison": report.comparison.to_json() if report.comparison else None,
        "reference": _reference(report.reference) if report.reference else None,
        "differences": differing([cell.lead.values for cell in report.cells]),
        "notes": _notes(report),
        "page": str(out / "index.html"),
    }


def _sides(report: Report) -> list[dict[str, Any]]:
    return [{"name": plain(side.name), "label": label, "runs": len(side.entries)}
            for side, label in zip(report.sides, report.side_names, strict=True)]  # fmt: skip


def _answer(cells: Sequence[dict[str, Any]], report: Report) -> dict[str, Any]:
    """How many runs and cells ended how, in numbers and in a sentence."""
    counted = [outcome.counts(cell) for cell in report.cells]
    total = {key: sum(one[key] for one in counted) for key in counted[0]}
    single = cells[0]["headline"] if len(cells) == 1 else None
    return {
        "sentence": single or outcome.sentence(list(cells), total),
        "runs": total,
        "cells": {name: sum(cell["outcome"] == name for cell in cells) for name in OUTCOMES}
        | {"cells": len(cells)},
        "reasons": {name: _summed([cell["reasons"] for cell in cells if cell["outcome"] == name])
                    for name in OUTCOMES},
    }  # fmt: skip


def _summed(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    """All counts together, most first."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(total.most_common())


def _title(report: Report) -> str:
    names = dict.fromkeys(e.config.name if e.config else plain(e.path.stem) for e in report.entries)
    listed = ", ".join(list(names)[:3]) + (", ..." if len(names) > 3 else "")
    count = len(report.entries)
    return f"{listed}: {count} {'run' if count == 1 else 'runs'}"


def _map(one: Map) -> dict[str, Any]:
    return {
        "side": one.side,
        "heading": one.heading,
        "answer": plain(which.answer(one)),
        "rows": asdict(one.rows) if one.rows else None,
        "columns": asdict(one.columns),
        "cells": [[cell.id if cell else None for cell in row] for row in one.cells],
    }


def _full(report: Report) -> list[str]:
    """What each cell is called in full: all that differs, or where it lies."""
    table = differing([cell.lead.values for cell in report.cells])
    told = [", ".join(f"{typed_key(key)} {row[i]}" for key, row in table.items()
                      if row[i] != MISSING)
            for i in range(len(report.cells))]  # fmt: skip
    return [plain(text or str(cell.lead.path))
            for text, cell in zip(told, report.cells, strict=True)]  # fmt: skip


def _cell(cell: Cell, full: str, common_eps: Sequence[float]) -> dict[str, Any]:
    counts, table = outcome.counts(cell), cell.lead.result.table
    low, high = wilson(counts["converged"], counts["judged"])
    labels = table.labels if table else None
    moments = {
        moment: {
            name: over(cell.entries, of, name)
            for name in (*_FIGURES, *(_AVERAGED if moment == "last" else ()))
        }
        for moment, of in _MOMENTS.items()
    }  # fmt: skip
    bands = {name: found for name in CURVES if (found := band(cell.entries, name))}
    return {
        "id": cell.id,
        "label": cell.label,
        "full": full,
        "side": cell.side,
        "at": dict(cell.at),
        "outcome": outcome.of_cell(cell),
        **{key: count for key, count in counts.items() if key != "runs"},
        "reasons": outcome.reasons(cell),
        "share_low": low,
        "share_high": high,
        "headline": _headline(cell, counts),
        "chance": labels.majority if labels else None,
        "entropy": labels.entropy if labels else None,
        **{m: {name: asdict(one) for name, one in of.items()} for m, of in moments.items()},
        "at_eps": {f"{eps:g}": asdict(at_eps(cell, eps)) for eps in common_eps},
        "bands": {name: _band(one) for name, one in bands.items()},
        "evaluations": [one.to_json() for one in strengths([e.evaluations for e in cell.entries])],
        "runs": [run_numbers(entry) for entry in cell.entries],
        "config": dict(cell.lead.values),
    }


def _headline(cell: Cell, counts: Mapping[str, int]) -> str:
    """A single run's own headline; of several seeds, how many converge."""
    if counts["runs"] == 1:
        lead = cell.lead
        said = plain(lead.error) if counts["failed"] and lead.error else ""
        said = said or plain(lead.result.verdict.headline)
        return said if counts["judged"] else f"{lead.state}: {said}"
    text = f"{counts['converged']} of {counts['judged']} seeds converge"
    if found := outcome.listed(outcome.reasons(cell)):
        text += f" ({found})"
    for name in ("failed", "unfinished"):
        text += f"; {counts[name]} {OUTCOMES[name][1]}" if counts[name] else ""
    return text


def at_eps(cell: Cell, eps: float) -> Summary:
    """Robust accuracy of the last weights at one eps."""
    found = [{point[0]: point[2] for point in entry.curve_eps} for entry in cell.entries]
    return summary([one.get(eps) for one in found])


def _band(one: SeedBand) -> dict[str, Any]:
    arrays = {"mean": one.mean, "low": one.low, "high": one.high}
    return {
        "epoch": one.epoch.tolist(),
        **{name: finite(values) for name, values in arrays.items()},
        "count": one.count.tolist(),
        "kind": one.kind,
    }


def _reference(reference: Reference) -> dict[str, Any]:
    return {"name": reference.name, **run_numbers(reference.entry)}


def _notes(report: Report) -> list[str]:
    """What a reader has to know of the input: each once, with how many it is about."""
    copies = [plain(path.name) for side in report.sides for path in side.copies]
    found: dict[str, int] = {}
    if copies:
        found[f"copies of other runs, left out: {', '.join(copies[:5])}, {len(copies)} in all"] = 1
    for entry in report.entries:
        if entry.result.table is None and entry.state != WAITING:
            found.setdefault(f"{plain(entry.path.name)}: {plain(entry.result.verdict.headline)}", 1)
        for note in (*entry.result.verdict.notes, *map(plain, entry.notes)):
            found[note] = found.get(note, 0) + 1
    several = len(report.entries) > 1
    return [f"{n} of {len(report.entries)}: {text}" if several and n > 1 else text
            for text, n in found.items()]  # fmt: skip
