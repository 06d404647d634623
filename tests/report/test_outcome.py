"""What the seeds of a cell come to together: one that is undecided contradicts none."""

from __future__ import annotations

from typing import Any

import pytest

from advtrain.report.numbers.outcome import by_seed, of_cell
from tests.helpers.drawn import cell, entry


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([True, False], "disagree"),
        ([True, False, None], "disagree"),
        ([True, None], "undecided"),
        ([False, None], "undecided"),
        ([None, None], "undecided"),
        ([True, True], "converged"),
        ([False, False], "not_converged"),
    ],
)
def test_seeds_disagree_only_where_one_converges_and_another_does_not(
    verdicts: list[bool | None], expected: str
) -> None:
    entries = [entry(seed, verdict) for seed, verdict in enumerate(verdicts)]
    assert of_cell(cell({"lr": "1"}, *entries)) == expected
    failed = entry(9, None, "failed")
    assert of_cell(cell({"lr": "1"}, *entries, failed)) == expected


def test_each_seed_is_said_with_what_it_came_to() -> None:
    runs: list[dict[str, Any]] = [
        {"seed": 0, "outcome": "not_converged"}, {"seed": 1, "outcome": "undecided"},
        {"seed": 2, "outcome": "not_converged"}, {"seed": 3, "outcome": "failed"},
    ]  # fmt: skip
    assert by_seed(runs) == "not converged: seeds 0, 2; cannot tell: seed 1; failed: seed 3"
