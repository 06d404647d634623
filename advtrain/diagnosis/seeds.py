"""The verdicts of several seeds of one cell, taken together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from advtrain.diagnosis import rules
from advtrain.diagnosis.level import split_of
from advtrain.diagnosis.table import Table
from advtrain.diagnosis.verdict import Verdict


@dataclass(frozen=True)
class Seeds:
    """How many of a cell's finished seeds converge (95% Wilson interval), and how they spread."""

    paths: tuple[str, ...]
    seeds: int
    unfinished: int
    converged: int
    undecided: int  # by a null verdict: not yet, or cannot tell
    low: float
    high: float
    mean: float | None  # of the final held-out accuracy
    sd: float | None
    least: float | None
    most: float | None
    decided_by: int | None  # the seed whose accuracy alone makes the spread, if there is one

    @property
    def headline(self) -> str:
        """In one sentence."""
        text = (
            f"{self.converged} of {self.seeds} seeds converge "
            f"(95% interval {self.low:.0%} to {self.high:.0%})"
        )
        if self.undecided:
            text += f", {self.undecided} undecided"
        if self.mean is not None and self.sd is not None:
            text += f"; final accuracy {self.mean:.1%}, sd {100 * self.sd:.1f} points"
        if self.decided_by is not None:
            text += f"; seed {self.decided_by} alone makes the spread"
        return f"{text}; {self.unfinished} unfinished" if self.unfinished else text

    def to_json(self) -> dict[str, Any]:
        """The object of `diagnose --json`."""
        return {"headline": self.headline, **asdict(self), "paths": list(self.paths)}


def over_seeds(paths: list[str], tables: list[Table], verdicts: list[Verdict]) -> Seeds:
    """The runs of one cell taken together."""
    done = [table for table in tables if table.finished]
    judged = [v for v, table in zip(verdicts, tables, strict=True) if table.finished]
    converged = sum(verdict.converged is True for verdict in judged)
    low, high = wilson(converged, len(judged))
    finals = [_final(table) for table in done]
    known = [value for value in finals if value is not None]
    seeds = [table.config.seed for table in done if table.config]
    return Seeds(
        tuple(paths),
        len(judged),
        len(tables) - len(judged),
        converged,
        sum(verdict.converged is None for verdict in judged),
        low,
        high,
        mean=float(np.mean(known)) if known else None,
        sd=float(np.std(known, ddof=1)) if len(known) > 1 else None,
        least=min(known, default=None),
        most=max(known, default=None),
        decided_by=_decided_by(known, seeds) if len(known) == len(seeds) else None,
    )


def _final(table: Table) -> float | None:
    accuracies = table.get(f"{split_of(table)}_{table.kind}_acc")
    known = accuracies[np.isfinite(accuracies)]
    return float(known[-1]) if len(known) else None


def _decided_by(finals: Sequence[float], seeds: list[int]) -> int | None:
    """The seed that lies farther from the others' median than three times their range."""
    values = np.array(finals, dtype=float)
    if len(values) < 3:
        return None
    for i, seed in enumerate(seeds):
        others = np.delete(values, i)
        spread = max(float(np.ptp(others)), rules.LEAST_RANGE)
        if abs(values[i] - np.median(others)) > rules.OUTLIER * spread:
            return seed
    return None


def wilson(hits: int, count: int, z: float = rules.SEEDS_Z) -> tuple[float, float]:
    """Interval of a share (Wilson 1927): sensible where hits are 0 or all; of none, 0 to 1."""
    if not count:
        return 0.0, 1.0
    share, square = hits / count, z * z
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = (
        z
        / (1 + square / count)
        * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    )
    return max(0.0, middle - half), min(1.0, middle + half)
