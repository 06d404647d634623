"""The band of converging values: found on made-up responses, where the true edges are known."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advtrain.config.schema import Config
from advtrain.sweep.bands import bands, next_points, read_refinement
from advtrain.sweep.board import Board
from advtrain.sweep.budget import Budget
from advtrain.sweep.plan import Study, plan, read_study
from advtrain.sweep.refine import RATIO, ConvergingBand, Tried, band, next_values, proposals
from tests.helpers.made_workers import Curves
from tests.helpers.synthetic import at_chance, learning

Response = Callable[[float, float, int], bool | None]  # eps, lr, seed -> converged


def tried(*good: tuple[float, int]) -> list[Tried]:
    return [Tried(value, 3, converged) for value, converged in good]


def simulate(study: Study, response: Response, budget: int | None, key: str = "lr") -> Board:
    """Grid and refinement, each run's verdict as the response says."""
    grid = plan(study)
    wanted, spent = read_refinement(study, key, budget), Budget(budget)
    board = Board(study.keys)
    runs = grid
    while runs:
        for run in board.add(runs):
            converged = response(run.config.attack.eps, run.config.optimizer.lr, run.seed)
            board.outcomes[run.path] = replace(board.of(run), state="finished", converged=converged)
        runs = spent.allows(plan(study, next_points(board, wanted, spent.added)))
    return board


def found(study: Study, response: Response, budget: int | None = None) -> list[dict[str, Any]]:
    board = simulate(study, response, budget)
    return bands(board, read_refinement(study, "lr", budget))


@pytest.fixture
def study(tiny: Path, tmp_path: Path) -> Study:
    """Four values of lr over three decades, two of eps."""
    return read_study(tiny, ["eps=0.1,0.2", "lr=logspace(1e-3,1,4)"], "0-2", tmp_path / "runs")


def test_a_majority_decides_and_null_counts_against() -> None:
    assert Tried(1, 3, 2).good and not Tried(1, 3, 1, undecided=2).good
    assert not Tried(1, 2, 1).good and Tried(1, 1, 1).good and not Tried(1, 0, 0).good


def test_the_longest_stretch_is_the_band() -> None:
    values = tried((0.1, 3), (1, 0), (2, 3), (3, 2), (4, 3), (5, 1), (6, 3))
    assert band(values) == ConvergingBand(low=2, high=4, below=1, above=5, others=2)
    assert band(values[::-1]) == band(values)
    assert band(tried((1, 0), (2, 1))) is None and band([]) is None
    open_ended = band(tried((1, 3), (2, 3)))
    assert open_ended == ConvergingBand(1, 2, None, None, 0) and open_ended.edges() == []


def test_each_edge_is_halved_in_log_the_wider_first() -> None:
    assert next_values(tried((0.01, 0), (0.04, 3), (0.1, 3), (10, 0))) == [1.0, 0.02]
    assert next_values(tried((1.0, 0), (1.29, 3), (1.6, 0))) == []
    assert next_values(tried((1, 0), (4, 3), (5, 3)), whole=True) == [2]
    assert next_values(tried((2, 0), (3, 3)), whole=True) == []
    assert next_values(tried((1, 0), (2, 0))) == []


def test_a_short_budget_goes_to_those_who_spent_least() -> None:
    two = tried((0.01, 0), (0.1, 3), (1, 0))
    groups = {"a": two, "b": two}
    assert [name for name, _ in proposals(groups, {})] == ["a", "b", "a", "b"]
    assert [name for name, _ in proposals(groups, {"a": 2})] == ["b", "b", "a", "a"]


def test_the_band_of_each_eps_is_found(study: Study) -> None:
    truth = {0.1: (0.004, 0.5), 0.2: (0.03, 0.2)}
    result = found(study, lambda eps, lr, seed: truth[eps][0] <= lr <= truth[eps][1])
    for one, (low, high) in zip(result, truth.values(), strict=True):
        assert one["below"] < low <= one["low"] <= one["below"] * RATIO * 1.01
        assert one["high"] <= high < one["above"] <= one["high"] * RATIO * 1.01
        assert (one["seeds"], one["epochs"], one["others"], one["undecided"]) == (3, 3, 0, 0)
    assert result[0]["overrides"] == ["eps=0.1"] and result[0]["key"] == "lr"
    assert result[0]["text"].startswith("eps=0.1: lr ")
    assert "3 seeds each, 3 epochs" in result[0]["text"] and "low edge between" in result[0]["text"]
    assert "more epochs move the low edge" in result[0]["text"]


@settings(max_examples=60, deadline=None)
@given(
    low=st.floats(-3.5, 0.2), width=st.floats(0, 3.5), count=st.integers(2, 8),
    budget=st.none() | st.integers(2, 40),
)  # fmt: skip
def test_edges_are_close_and_the_budget_is_kept(
    tmp_path_factory: pytest.TempPathFactory, low: float, width: float, count: int,
    budget: int | None,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("refine")
    (folder / "a.yaml").write_text("model: mlp\ndataset: digits\n")
    study = read_study(folder / "a.yaml", [f"lr=logspace(1e-3,1,{count})"], "0-1", folder)
    edges = 10**low, 10 ** (low + width)

    def response(eps: float, lr: float, seed: int) -> bool:
        return edges[0] <= lr <= edges[1]

    board = simulate(study, response, budget)
    extra = len(board.runs) - 2 * count
    if budget is not None:
        assert extra <= budget
    (one,) = bands(board, read_refinement(study, "lr", budget))
    grid = [run.config.optimizer.lr for run in plan(study)]
    inside = [lr for lr in grid if edges[0] <= lr <= edges[1]]
    if not inside:
        assert one["low"] is None and extra == 0
        return
    assert edges[0] <= one["low"] <= min(inside) and max(inside) <= one["high"] <= edges[1]
    for inner, outer, end in (("low", "below", min(grid)), ("high", "above", max(grid))):
        if one[outer] is None:
            assert one[inner] == end and "open" in one["text"]
        elif budget is None:
            assert abs(math.log(one[inner] / one[outer])) <= math.log(RATIO)
    if budget is None:  # no run was wasted: each halves an interval around an edge
        assert extra <= 2 * 2 * math.ceil(math.log2(math.log(1000) / math.log(RATIO)) + 1)


def test_a_budget_is_spread_over_eps(study: Study) -> None:
    board = simulate(study, lambda eps, lr, seed: 0.005 < lr < 0.5, 12)
    extra = [run.config.attack.eps for run in board.runs[24:]]
    assert extra.count(0.1) == extra.count(0.2) == 6
    assert len(simulate(study, lambda eps, lr, seed: 0.005 < lr < 0.5, 5).runs) == 24 + 3


def test_a_sweep_that_goes_on_asks_for_the_same_values(study: Study) -> None:
    def response(eps: float, lr: float, seed: int) -> bool:
        return (lr * 7919 * (seed + 1)) % 1 < 0.8

    once, again = (simulate(study, response, 30) for _ in range(2))
    assert [run.path for run in once.runs] == [run.path for run in again.runs]


def test_nothing_is_asked_for_while_a_run_has_not_ended(study: Study) -> None:
    board = Board(study.keys)
    grid = plan(study)
    board.add(grid)
    wanted = read_refinement(study, "lr", None)
    for run in grid:
        board.outcomes[run.path] = replace(
            board.of(run), state="finished", converged=run.config.optimizer.lr == 0.1
        )
    assert len(next_points(board, wanted, [])) == 4
    board.outcomes[grid[0].path] = replace(board.of(grid[0]), state="interrupted")
    assert next_points(board, wanted, []) == []
    board.outcomes[grid[0].path] = replace(board.of(grid[0]), state="failed")
    assert len(next_points(board, wanted, [])) == 4  # a failure did not converge


def test_undecided_values_are_counted_and_open_ends_said(study: Study) -> None:
    def response(eps: float, lr: float, seed: int) -> bool | None:
        return None if lr < 0.05 else eps == 0.1

    first, second = found(study, response)
    assert first["undecided"] >= 2
    assert (
        "seeds that converge at each value: 0.001: 0/3 (3 undecided), 0.01: 0/3 (" in first["text"]
    )
    assert (
        first["above"] is None and "1 is the largest tried, so it may reach higher" in first["text"]
    )
    assert second["low"] is None and second["text"].startswith("eps=0.2: no value of lr converges")


def test_the_band_is_what_the_sweeps_own_table_says(advtrain, tiny: Path, made_runs) -> None:
    """Found anew from sweep.csv; the same command again trains nothing."""

    def curves(config: Config) -> Curves:
        found = learning(config.training.epochs, 0.5)
        return found if 0.004 <= config.optimizer.lr <= 0.5 else at_chance(found)

    made_runs.curves = curves
    arguments = ["sweep", tiny, "lr=logspace(1e-3,10,5)", "epochs=40", "schedule=cosine",
                 "eps=0.05", "--seeds", "0", "--refine", "lr", "--budget", "5"]  # fmt: skip
    done = advtrain(*arguments, "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    (one,) = result["bands"]
    assert 5 < len(result["runs"]) <= 10 and one["seeds"] == 1 and one["epochs"] == 40
    assert one["below"] < 0.004 <= one["low"] and one["high"] <= 0.5 < one["above"]
    with Path(result["sweep_csv"]).open(newline="") as lines:
        rows = sorted(csv.DictReader(lines), key=lambda row: float(row["lr"]))
    assert len(rows) == len(result["runs"])
    inside = [r["converged"] == "true" for r in rows if one["low"] <= float(r["lr"]) <= one["high"]]
    assert inside and all(inside)
    by_value = {float(row["lr"]): row["converged"] for row in rows}
    assert by_value[one["below"]] != "true" and by_value[one["above"]] != "true"
    with (Path(result["sweep_csv"]).parent / "bands.csv").open(newline="") as lines:
        (row,) = csv.DictReader(lines)
    assert (row["key"], float(row["low"]), row["text"]) == ("lr", one["low"], one["text"])
    again = advtrain(*arguments)
    assert f"sweep of {len(rows)} runs" not in again.err and "0 to train" in again.err
    assert one["text"] in again.out and f"{result['sweep_csv']}" in again.out
