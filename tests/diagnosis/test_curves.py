"""How often the verdict is right on curves of known nature, drawn anew from a seed."""

from __future__ import annotations

import pytest

from tests.helpers.made_curves import SCENARIOS, Found, coverage, judge

COUNT = 300  # the table of docs/verdicts.md is of 2,000


@pytest.fixture(scope="module")
def found() -> Found:
    return judge(COUNT, seed=20)


def test_clear_cases_are_told(found: Found) -> None:
    for name, scenario in SCENARIOS.items():
        for axis, state in scenario.states.items():
            assert found.rate(name, axis, state) >= 0.97, (name, axis, found.states[name, axis])
            assert found.specificity(axis, state) >= 0.97, (axis, state)
            assert found.rate(name, axis, "unresolved") <= 0.25, (name, axis)


def test_what_has_not_converged_is_hardly_ever_called_so(found: Found) -> None:
    assert found.false_converged < 0.01
    for name, scenario in SCENARIOS.items():
        if scenario.converged is not None:
            assert found.converged[name][scenario.converged] / COUNT >= 0.97, name


def test_noise_is_not_robust_overfitting(found: Found) -> None:
    assert found.overfitting_on_noise < 0.01


def test_intervals_cover_what_they_say() -> None:
    for rho, share in coverage(3 * COUNT, seed=20).items():
        assert 0.86 <= share <= 0.94, rho
