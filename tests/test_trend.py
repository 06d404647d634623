"""Trends: the slope and its interval against SciPy's, and the meaning of an interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from advtrain.diagnosis import rules
from advtrain.diagnosis.trend import Trend, jitter, means, since_when, trend


@pytest.mark.parametrize("n", [8, 15, 50])
def test_without_autocorrelation_it_is_scipys_theil_sen(n, monkeypatch) -> None:
    monkeypatch.setattr("advtrain.diagnosis.trend._autocorrelation", lambda residuals: 0.0)
    draw = np.random.default_rng(n)
    x = np.sort(draw.choice(100, n, replace=False)).astype(float)
    y = 0.3 * x + draw.normal(size=n)
    found, span = trend(x, y), x[-1] - x[0]
    assert found is not None
    theirs = stats.theilslopes(y, x, alpha=0.9)
    assert found.change == pytest.approx(theirs.slope * span)
    step = 3 * span * np.max(np.diff(np.sort(stats.theilslopes(y, x, alpha=0.5))))
    assert found.low == pytest.approx(theirs.low_slope * span, abs=step)
    assert found.high == pytest.approx(theirs.high_slope * span, abs=step)


def test_an_outlier_moves_it_little() -> None:
    x = np.arange(20.0)
    y = 0.1 * x
    y[13] = 1000
    found = trend(x, y)
    assert found is not None and found.change == pytest.approx(1.9, rel=0.05)


def test_autocorrelation_widens_the_interval() -> None:
    draw = np.random.default_rng(0)
    x, white = np.arange(50.0), draw.normal(size=(200, 51))
    red = (white[:, 1:] + white[:, :-1]) / np.sqrt(2)  # of the same sd, autocorrelation .5
    width = [
        np.mean([t.high - t.low for y in curves if (t := trend(x, y))])
        for curves in (white[:, 1:], red)
    ]
    assert width[1] > 1.3 * width[0]


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(-3, -1.5, "falling"), (1.5, 3, "rising"), (-0.5, 0.9, "flat"), (-2, 0.5, "unresolved"),
     (-2, 2, "unresolved"), (0.5, 2, "unresolved"), (-1, 1, "flat")],
)  # fmt: skip
def test_an_interval_that_spans_two_answers_is_unresolved(low, high, said) -> None:
    assert Trend((low + high) / 2, low, high, 1.0, 0.0, 20).against(1.0) == said


def test_how_many_epochs_would_tell_is_said_where_waiting_is_advice() -> None:
    near = Trend(0.0, -0.9, 1.1, 1.0, 0.0, 20)
    assert near.points_to_resolve(1.0) == 80
    assert Trend(0.0, -9, 9, 1.0, 0.0, 20).points_to_resolve(1.0) is None


def test_below_five_points_there_is_no_trend() -> None:
    assert trend(np.arange(4.0), np.arange(4.0)) is None
    assert trend(np.arange(5.0), np.arange(5.0)) is not None


def test_a_constant_curve_has_no_change_and_no_width() -> None:
    found = trend(np.arange(30.0), np.full(30, 0.7))
    assert found is not None and (found.change, found.low, found.high) == (0, 0, 0)


def test_means_trail_and_jitter_ignores_trends() -> None:
    draw = np.random.default_rng(0)
    assert np.allclose(means(np.arange(6.0), 3)[2:], [1, 2, 3, 4])
    assert np.isnan(means(np.arange(6.0), 3)[:2]).all()
    noise = draw.normal(size=2000)
    assert jitter(noise + np.arange(2000)) == pytest.approx(1, rel=0.1)
    assert rules.WINDOW[0] >= rules.SHORTEST_SINCE_JUMP


@pytest.mark.parametrize(
    ("holds", "began"),
    [("", None), ("....", None), ("...x", 3), ("x......x", 7), ("..x.x.xx", 2), ("xxxxx.", 0),
     ("xx....", None), ("..xx...", 2), ("x.......xx.xx", 8)],
)  # fmt: skip
def test_what_flickers_holds_now_or_not_and_has_a_beginning(holds: str, began: int | None) -> None:
    assert since_when(np.array([c == "x" for c in holds], dtype=bool)) == began
