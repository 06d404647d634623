"""Trends: the slope and its interval against SciPy's, and the meaning of an interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from advtrain.diagnosis import rules
from advtrain.diagnosis.trend import Trend, departs, jitter, means, since_when, trend


@pytest.mark.parametrize("n", [8, 15, 50])
def test_without_autocorrelation_it_is_scipys_theil_sen(n, monkeypatch) -> None:
    """SciPy rounds the interval's ranks outwards: its ends are the slopes next to ours."""
    monkeypatch.setattr("advtrain.diagnosis.trend._autocorrelation", lambda residuals: 0.0)
    draw = np.random.default_rng(n)
    x = np.sort(draw.choice(100, n, replace=False)).astype(float)
    y = 0.3 * x + draw.normal(size=n)
    found, span = trend(x, y), x[-1] - x[0]
    assert found is not None
    theirs = stats.theilslopes(y, x, alpha=0.9)
    assert found.change == pytest.approx(theirs.slope * span)
    first, second = np.triu_indices(n, 1)
    slopes = np.sort((y[second] - y[first]) / (x[second] - x[first])) * span
    for ours, at in ((found.low, theirs.low_slope), (found.high, theirs.high_slope)):
        near = int(np.argmin(np.abs(slopes - at * span)))
        least, most = slopes[max(near - 1, 0)], slopes[min(near + 1, len(slopes) - 1)]
        assert least <= ours <= most


def test_an_outlier_moves_the_trend_little() -> None:
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
    assert Trend(0.0, -0.9, 0.6, 1.0, 0.0, 20).points_needed(1.0) == 45
    assert Trend(0.0, -0.9, 1.1, 1.0, 0.0, 20).points_needed(1.0) is None, "no window has 80"
    assert Trend(0.0, 0.5, 1.4, 1.0, 0.0, 20).points_needed(1.0) is None, "it is narrow enough"


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


def test_a_huge_or_missing_value_spoils_no_later_mean() -> None:
    values = np.r_[1e18, np.nan, np.full(8, 2.0)]
    assert np.isnan(means(values, 3)[3]) and (means(values, 3)[4:] == 2).all()


@pytest.mark.parametrize(
    ("last", "by"), [([2.0] * 3, 1.0), ([2.0] * 2, 1.0), ([2.0], None), ([3.0], 2.0), ([1.3], None)]
)
def test_departing_is_three_epochs_beyond_what_matters_or_one_beyond_twice(last, by) -> None:
    found = departs(np.r_[np.full(30, 1.0), last], matters=0.9)
    assert found is None if by is None else found == pytest.approx(by)


@pytest.mark.parametrize(
    ("holds", "began"),
    [("", None), ("....", None), ("...x", 3), ("x......x", 7), ("..x.x.xx", 2), ("xxxxx.", 0),
     ("xx....", None), ("..xx...", 2), ("x.......xx.xx", 8)],
)  # fmt: skip
def test_what_flickers_holds_now_or_not_and_has_a_beginning(holds: str, began: int | None) -> None:
    assert since_when(np.array([c == "x" for c in holds], dtype=bool)) == began
