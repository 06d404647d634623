"""Robust accuracy under stronger attacks, over the seeds of a cell, with its interval."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from advtrain.diagnosis.seeds import wilson
from advtrain.report.input.labels import plain
from advtrain.report.numbers.over_seeds import Summary, student, summary
from advtrain.store.evaluation_csv import EvaluationRow

_STAGES = ("apgd-ce", "apgd-t", "fab-t", "square", "autoattack")  # in the order they run
_PGD = re.compile(r"pgd-(\d{1,9})-(\d{1,9})")  # steps, restarts
_NORMAL = 1.96  # the 97.5% quantile


@dataclass(frozen=True)
class Strength:
    """Accuracy under one attack over a cell's seeds; `low` and `high` are its 95% interval.

    Of one seed the interval is Wilson's over its images, and `se` its standard error; of several
    it is mean -+ t sd / sqrt(n), t of Student's distribution.
    """

    of: EvaluationRow  # the first of the seeds'
    images: tuple[int, ...]  # the numbers there are, by size
    over: Summary
    se: float | None
    low: float
    high: float
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """An element of a cell's `evaluations`."""
        one = told(self.of)
        named = ("checkpoint", "weights", "norm", "eps", "attack")
        return (
            {name: one[name] for name in named}
            | {"images": list(self.images)}
            | asdict(self.over)
            | {"se": self.se, "low": self.low, "high": self.high}
            | {"warnings": [plain(text) for text in self.warnings]}
        )


def told(one: EvaluationRow) -> dict[str, Any]:
    """An element of a run's `evaluations`: the row."""
    row = asdict(one) | {"warnings": [plain(text) for text in one.warnings]}
    return {key: plain(value) if isinstance(value, str) else value for key, value in row.items()}


def strengths(runs: Sequence[Sequence[EvaluationRow]]) -> list[Strength]:
    """A cell's rows over its seeds, by checkpoint, weights and ball, weak attacks first.

    Where a run has several numbers of images for one, the largest counts.
    """
    groups: dict[Any, dict[int, EvaluationRow]] = {}
    for i, run in enumerate(runs):
        for one in run:
            group = groups.setdefault(
                ((one.checkpoint, one.weights, one.norm, f"{one.eps:.6g}"), one.attack), {}
            )
            if i not in group or one.images >= group[i].images:
                group[i] = one
    places = list(dict.fromkeys(place for place, _ in groups))
    order = sorted(groups, key=lambda key: (places.index(key[0]), rank(key[1])))
    return [_strength(groups[key], len(runs)) for key in order]


def by_place(evaluations: Sequence[Mapping[str, Any]]) -> list[dict[str, Mapping[str, Any]]]:
    """A cell's `evaluations` by attack, for each checkpoint, weights and ball."""
    found: dict[tuple[Any, ...], dict[str, Mapping[str, Any]]] = {}
    for one in evaluations:
        place = one["checkpoint"], one["weights"], one["norm"], one["eps"]
        found.setdefault(place, {})[one["attack"]] = one
    return list(found.values())


def rank(attack: str) -> tuple[int, int, int, str]:
    """Sorts attacks: clean, PGD by steps and restarts, AutoAttack's stages as they run."""
    if attack == "clean":
        return 0, 0, 0, ""
    if match := _PGD.match(attack):
        return 1, int(match[1]), int(match[2]), attack
    stage = _STAGES.index(attack) if attack in _STAGES else -1
    return 2, stage, 0, attack


def headline(attack: str) -> bool:
    """Whether a row of methods tells it: all but the stages of AutoAttack before the last."""
    return attack == "autoattack" or rank(attack)[0] < 2


def _strength(group: Mapping[int, EvaluationRow], runs: int) -> Strength:
    rows = list(group.values())
    over = summary([group[i].accuracy if i in group else None for i in range(runs)])
    assert over.mean is not None
    if over.sd is None:
        low, high = wilson(round(rows[0].accuracy * rows[0].images), rows[0].images, _NORMAL)
    else:
        half = student(over.seeds - 1) * over.sd / math.sqrt(over.seeds)
        low, high = over.mean - half, over.mean + half
    return Strength(
        rows[0],
        tuple(sorted({row.images for row in rows})),
        over,
        rows[0].se if over.sd is None else None,
        low,
        high,
        tuple(dict.fromkeys(text for row in rows for text in row.warnings)),
    )
