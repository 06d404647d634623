"""Learning rates and eps over the steps, against values worked out by hand."""

from __future__ import annotations

import math

import pytest

from advtrain.config.optimization import Constant, Cosine, Cyclic, Piecewise, Schedule
from advtrain.learning.schedule import alpha_factor, eps_factor, lr_factor


def factors(schedule: Schedule, epochs: int, per_epoch: int = 10, horizon: int | None = None):
    return [
        lr_factor(schedule, step, per_epoch, horizon or epochs)
        for step in range(epochs * per_epoch)
    ]


def test_piecewise_drops_at_fractions_and_at_epochs() -> None:
    for milestones in ([0.5, 0.75], [2, 3]):
        found = factors(Piecewise(milestones=milestones), 4)
        assert found[:20] == [1.0] * 20
        assert found[20:30] == pytest.approx([0.1] * 10)
        assert found[30:] == pytest.approx([0.01] * 10)


def test_piecewise_of_an_odd_number_of_epochs_drops_in_the_middle() -> None:
    found = factors(Piecewise(milestones=[0.5]), 3)
    assert found.index(min(found)) == 15


def test_cosine_goes_from_the_peak_to_nearly_zero() -> None:
    found = factors(Cosine(), 5)
    assert found[0] == 1 and found[25] == pytest.approx(0.5)
    assert 0 < found[-1] < 0.002 and found == sorted(found, reverse=True)


def test_cyclic_rises_linearly_to_the_peak_and_falls_to_zero() -> None:
    found = factors(Cyclic(peak=0.4), 10)
    assert found.index(max(found)) in (39, 40)
    assert found[0] == pytest.approx(0.5 / 40) and found[-1] == pytest.approx(0.5 / 60)
    assert found[20] == pytest.approx(20.5 / 40) and found[70] == pytest.approx(29.5 / 60)


def test_warmup_multiplies_any_schedule() -> None:
    found = factors(Constant(warmup=2), 4)
    assert found[:20] == pytest.approx([(i + 1) / 20 for i in range(20)])
    assert found[20:] == [1.0] * 20
    assert factors(Cosine(warmup=1), 4)[4] == pytest.approx(factors(Cosine(), 4)[4] / 2)


@pytest.mark.parametrize("schedule", [Constant(), Piecewise(), Cosine(), Cyclic()])
def test_after_the_horizon_the_last_rate_stays(schedule: Schedule) -> None:
    within, beyond = factors(schedule, 4), factors(schedule, 7, horizon=4)
    assert beyond[:40] == within
    assert set(beyond[40:]) == {within[-1]} and within[-1] > 0


def test_eps_rises_over_its_own_warmup() -> None:
    schedule = Constant(eps_warmup=2)
    assert [eps_factor(schedule, step, 10, 10) for step in (0, 9, 19, 20, 99)] == pytest.approx(
        [0.05, 0.5, 1, 1, 1]
    )
    assert eps_factor(Constant(), 0, 10, 10) == 1
    assert math.isclose(lr_factor(schedule, 0, 10, 4), 1)


def test_points_are_joined_by_lines_in_fractions_of_the_horizon() -> None:
    # 4 epochs of 10 steps: a step's end is at (step + 1) / 40.
    points = [[0.25, 0.2], [0.5, 1.0], [0.75, 0.6]]
    for factor, schedule in (
        (eps_factor, Constant(eps_points=points)),
        (alpha_factor, Constant(alpha_points=points)),
    ):
        found = [factor(schedule, step, 10, 4) for step in (0, 9, 11, 14, 19, 24, 29, 39, 99)]
        assert found == pytest.approx([0.2, 0.2, 0.36, 0.6, 1.0, 0.8, 0.6, 0.6, 0.6])
    # A horizon of twice the epochs takes twice as long.
    assert eps_factor(Constant(eps_points=points), 29, 10, 8) == pytest.approx(0.6)
    assert alpha_factor(Constant(eps_points=points), 9, 10, 4) == 1
    assert eps_factor(Constant(alpha_points=points), 9, 10, 4) == 1
    assert alpha_factor(Constant(alpha_points=[[0.5, 0.3]]), 7, 10, 4) == 0.3


def test_points_and_warmup_multiply() -> None:
    schedule = Constant(eps_warmup=2, eps_points=[[0, 0.5], [1, 0.5]])
    found = [eps_factor(schedule, step, 10, 4) for step in (0, 9, 19, 39)]
    assert found == pytest.approx([0.025, 0.25, 0.5, 0.5])


@pytest.mark.parametrize(
    ("points", "warmup", "settled"),
    [([], 0, 0), ([], 3, 3), ([[0, 0.2], [0.5, 1]], 0, 10), ([[0.5, 1], [0.8, 1]], 2, 2),
     ([[0.1, 0], [0.2, 1], [0.9, 1]], 0, 4), ([[0, 0.5]], 0, 0)],
)  # fmt: skip
def test_eps_is_settled_after_the_last_line_that_is_not_flat(
    points: list[list[float]], warmup: float, settled: float
) -> None:
    assert Constant(eps_points=points, eps_warmup=warmup).settled(20) == pytest.approx(settled)
