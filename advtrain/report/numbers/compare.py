"""Two sides against each other, cell by cell: differences of robust accuracy with intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from advtrain.report.input.cells import Cell
from advtrain.report.input.choices import folded
from advtrain.report.input.labels import by_difference, columns_of, differing
from advtrain.report.numbers.over_seeds import best, final, student, summary

COLUMN = "test_robust_acc"
_MOMENTS = {"last": final, "best": best}


@dataclass(frozen=True)
class Difference:
    """B minus A of a cell's accuracy in its last epoch, or in the one best on validation.

    `low` and `high` are a 95% interval of Student's t over seeds: of the differences of equal
    seeds where both sides have the same ones (`paired`), else Welch's; None where a side has one
    seed. Fractions.
    """

    label: str
    what: str  # "last" or "best"
    cell_a: str
    cell_b: str
    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    seeds_a: int
    seeds_b: int
    paired: bool

    def to_json(self) -> dict[str, Any]:
        """An element of `comparison.differences`."""
        return asdict(self)


@dataclass(frozen=True)
class Comparison:
    """The differences of all cells that both sides have, and what else differs."""

    differences: tuple[Difference, ...]
    pairs: tuple[tuple[Cell, Cell], ...]
    only_a: tuple[str, ...]  # labels of cells without a counterpart
    only_b: tuple[str, ...]
    recipe: dict[str, list[str]]  # keys that differ between the sides, the value in each

    def to_json(self) -> dict[str, Any]:
        """The object `comparison` of the report."""
        return {
            "differences": [one.to_json() for one in self.differences],
            "only_a": list(self.only_a),
            "only_b": list(self.only_b),
            "recipe": self.recipe,
        }


def compare(cells: Sequence[Cell]) -> Comparison:
    """Side 0 against side 1: cells of the same position, or the only cells there are."""
    a, b = ([cell for cell in cells if cell.side == side] for side in (0, 1))
    if len(a) == len(b) == 1:
        pairs = [(a[0], b[0])]
    else:
        there = {tuple(cell.at.items()) or cell.label: cell for cell in b}
        found = [(one, there.get(tuple(one.at.items()) or one.label)) for one in a]
        pairs = [(one, other) for one, other in found if other is not None]
    met = {cell.id for pair in pairs for cell in pair}
    swept = {key for cell in cells for key in cell.at}
    known = bool(pairs) and all(cell.lead.values for cell in pairs[0])  # a CSV has no config
    recipe = differing([cell.lead.values for cell in pairs[0]]) if known else {}
    return Comparison(
        tuple(_difference(one, other, what) for one, other in pairs for what in _MOMENTS),
        tuple(pairs),
        tuple(cell.label for cell in a if cell.id not in met),
        tuple(cell.label for cell in b if cell.id not in met),
        {key: values for key, values in recipe.items() if key not in swept},
    )


def side_names(cells: Sequence[Cell]) -> tuple[str, str]:
    """What A and B are called: by what their recipes do differently, else by their configs.

    Empty where not even these differ.
    """
    known = [cell for cell in cells if cell.lead.config is not None]
    configs = folded([cell.lead.values for cell in known])
    of = [[values for cell, values in zip(known, configs, strict=True) if cell.side == side]
          for side in (0, 1)]  # fmt: skip
    if all(of):
        own = [{key: row[0] for key, row in columns_of(side).items() if len({*row}) == 1}
               for side in of]  # fmt: skip
        shared = [{key: one[key] for key in own[0] if key in own[1]} for one in own]
        names = by_difference(shared)
        if any(names):
            return names[0], names[1]
    a, b = (_own_names([cell for cell in cells if cell.side == side]) for side in (0, 1))
    return (a, b) if a != b else ("", "")


def _own_names(cells: Sequence[Cell]) -> str:
    """The names of a side's configs; of a single CSV its own."""
    configs = [cell.lead.config for cell in cells]
    names = dict.fromkeys(config.name for config in configs if config)
    if names:
        return ", ".join(names)
    return cells[0].label if len(cells) == 1 else f"{len(cells)} CSVs"


def _difference(a: Cell, b: Cell, what: str) -> Difference:
    ours, theirs = (_by_seed(cell, what) for cell in (a, b))
    means = [summary([value for _, value in side]) for side in (ours, theirs)]
    paired, middle, interval = _interval(ours, theirs)
    low, high = interval or (None, None)
    label = a.label if a.label == b.label else f"{a.label} | {b.label}"
    return Difference(
        label, what, a.id, b.id, means[0].mean, means[1].mean, middle, low, high,
        means[0].seeds, means[1].seeds, paired,
    )  # fmt: skip


def _by_seed(cell: Cell, what: str) -> list[tuple[int | None, float]]:
    """The figure of every finished run with its seed."""
    entries = [e for e in cell.entries if e.result.table is not None and e.result.table.finished]
    known = [(entry.seed, _MOMENTS[what](entry, COLUMN)) for entry in entries]
    return [(seed, value) for seed, value in known if value is not None]


def _interval(
    a: Sequence[tuple[int | None, float]], b: Sequence[tuple[int | None, float]]
) -> tuple[bool, float | None, tuple[float, float] | None]:
    """Whether paired, the difference of means, and its 95% interval."""
    if not a or not b:
        return False, None, None
    seeds_a, seeds_b = [seed for seed, _ in a], [seed for seed, _ in b]
    paired = (
        None not in seeds_a
        and len(set(seeds_a)) == len(seeds_a)
        and sorted(map(str, seeds_a)) == sorted(map(str, seeds_b))
    )
    first, second = np.array([v for _, v in a]), np.array([v for _, v in b])
    middle = float(second.mean() - first.mean())
    if paired:
        of_b = dict(b)
        steps = np.array([of_b[seed] - value for seed, value in a])
        count = len(steps)
        if count < 2:
            return True, middle, None
        error, freedom = float(steps.std(ddof=1)) / math.sqrt(count), float(count - 1)
    else:
        if len(first) < 2 or len(second) < 2:
            return False, middle, None
        parts = [float(side.var(ddof=1)) / len(side) for side in (first, second)]
        error = math.sqrt(sum(parts))
        # Welch-Satterthwaite; of two sides without any spread the smaller count decides.
        spread = sum(p * p / (len(s) - 1) for p, s in zip(parts, (first, second), strict=True))
        least = float(min(len(first), len(second)) - 1)
        freedom = sum(parts) ** 2 / spread if spread else least
    half = student(freedom) * error
    return paired, middle, (middle - half, middle + half)
