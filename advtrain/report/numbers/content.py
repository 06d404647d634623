"""Every number of the report as one object: what the page shows and `--json` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from advtrain.diagnosis.seeds import wilson
from advtrain.diagnosis.segments import phases
from advtrain.report.input.cells import Cell, Map, MapAxis, cells_of, differing, maps_of, plain
from advtrain.report.input.gather import WAITING, Entry, Side
from advtrain.report.numbers import outcome
from advtrain.report.numbers.compare import Comparison, compare
from advtrain.report.numbers.outcome import OUTCOMES
from advtrain.report.numbers.over_seeds import (
    Moment,
    SeedBand,
    Summary,
    band,
    best,
    best_epoch,
    final,
    oracle,
    over,
    summary,
)
from advtrain.report.numbers.strengths import strengths, told

# What the figures draw over the epochs.
CURVES = (
    *(f"{split}_{kind}_{what}" for split in ("train", "val", "test")
      for kind in ("clean", "robust") for what in ("loss", "acc")),
    "lr", "eps", "test_fgsm_acc", "test_robust_loss_2x", "fosc_train", "fosc_test",
    "probe_clean_loss", "probe_robust_loss", "probe_robust_loss_2x", "grad_norm", "weight_norm",
)  # fmt: skip


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
    cells = [_cell(cell, report.common_eps) for cell in report.cells]
    return {
        "version": version("advtrain"),
        "title": _title(report),
        "sides": [{"name": plain(side.name), "runs": len(side.entries)} for side in report.sides],
        "answer": _answer(cells, report),
        "axes": [asdict(axis) for axis in report.axes],
        "maps": [_map(one) for one in report.maps],
        "bands": [dict(row) | {"side": i} for i, s in enumerate(report.sides) for row in s.bands],
        "common_eps": report.common_eps,
        "cells": cells,
        "comparison": report.comparison.to_json() if report.comparison else None,
        "reference": _reference(report.reference) if report.reference else None,
        "differences": differing(report.cells),
        "notes": _notes(report),
        "page": str(out / "index.html"),
    }


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
    }


def _title(report: Report) -> str:
    names = dict.fromkeys(e.config.name if e.config else plain(e.path.stem) for e in report.entries)
    listed = ", ".join(list(names)[:3]) + (", ..." if len(names) > 3 else "")
    count = len(report.entries)
    return f"{listed}: {count} {'run' if count == 1 else 'runs'}"


def _map(one: Map) -> dict[str, Any]:
    return {
        "side": one.side,
        "heading": one.heading,
        "rows": asdict(one.rows) if one.rows else None,
        "columns": asdict(one.columns),
        "cells": [[cell.id if cell else None for cell in row] for row in one.cells],
    }


def _cell(cell: Cell, common_eps: Sequence[float]) -> dict[str, Any]:
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
        "side": cell.side,
        "at": dict(cell.at),
        "outcome": outcome.of_cell(cell),
        **{key: count for key, count in counts.items() if key != "runs"},
        "share_low": low,
        "share_high": high,
        "headline": _headline(cell, counts),
        "chance": labels.majority if labels else None,
        "entropy": labels.entropy if labels else None,
        **{m: {name: asdict(one) for name, one in of.items()} for m, of in moments.items()},
        "at_eps": {f"{eps:g}": asdict(at_eps(cell, eps)) for eps in common_eps},
        "bands": {name: _band(one) for name, one in bands.items()},
        "evaluations": [one.to_json() for one in strengths([e.evaluations for e in cell.entries])],
        "runs": [_run(entry) for entry in cell.entries],
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
    text += f"; {counts['undecided']} undecided" if counts["undecided"] else ""
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
        **{name: _finite(values) for name, values in arrays.items()},
        "count": one.count.tolist(),
        "kind": one.kind,
    }


def _run(entry: Entry) -> dict[str, Any]:
    table = entry.result.table
    starts = phases(table).starts if table is not None and len(table) else ()
    peak = oracle(entry, "test_robust_acc")
    sessions = [s for s in _list(entry.provenance.get("sessions")) if isinstance(s, dict)]
    return {
        "path": str(entry.path),
        "seed": entry.seed,
        "state": entry.state,
        "outcome": outcome.of_entry(entry),
        "error": plain(entry.error),
        "epochs": len(table) if table is not None else 0,
        "best_epoch": best_epoch(entry),
        "oracle_epoch": peak[0] if peak else None,
        "segments": [int(table.epoch[row]) for row in starts] if table is not None else [],
        "verdict": entry.result.verdict.to_json(),
        "evaluations": [told(one) for one in entry.evaluations],
        "curves": {name: _finite(entry.columns[name]) for name in CURVES if name in entry.columns},
        "epoch": table.epoch.tolist() if table is not None else [],
        "seconds": sum(s["seconds"] for s in sessions if _number(s.get("seconds"))) or None,
        "sessions": [_session(s) for s in sessions],
        "dataset_checksum": entry.provenance.get("dataset_checksum"),
        "parent": table.parent if table is not None else None,
    }


def _session(session: Mapping[str, Any]) -> dict[str, Any]:
    """What the page tells of a process that worked on a run; the commit, not the whole diff."""
    git = session.get("git") if isinstance(session.get("git"), dict) else {}
    known = ("began", "host", "device", "device_name", "threads", "precision", "versions", "argv")
    found = {name: session.get(name) for name in known}
    return found | {"commit": (git or {}).get("commit"), "dirty": bool((git or {}).get("diff"))}


def _reference(reference: Reference) -> dict[str, Any]:
    return {"name": reference.name, **_run(reference.entry)}


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


def _finite(values: Sequence[float] | np.ndarray[Any, Any]) -> list[float | None]:
    return [float(v) if math.isfinite(v) else None for v in values]


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
