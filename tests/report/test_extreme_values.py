"""Seeds that explode or end early: what else their cell shows stays as it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from advtrain.report.figures.curves import curves, curves_alt
from advtrain.report.figures.drawing import draw
from advtrain.report.figures.pictures import pictures
from advtrain.report.figures.why import why
from advtrain.report.input.gather import gather
from advtrain.report.numbers.content import content, report_on
from advtrain.report.numbers.over_seeds import band
from advtrain.report.page.render import page
from tests.helpers.drawn import cell_of, data, figure_texts, named, panel
from tests.helpers.synthetic import learning, write_csv, write_run

_PATH = re.compile(r'<path[^>]* d="([^"]*)"')
_NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")


def farthest(svg: str) -> float:
    """The largest number in the paths of an SVG."""
    numbers = [float(n) for path in _PATH.findall(svg) for n in _NUMBER.findall(path)]
    assert numbers and "nan" not in "".join(_PATH.findall(svg)).lower()
    return max(map(abs, numbers))


def write_seeds(folder: Path, *lengths: int, value: float = 7e18, columns: str = "_loss") -> Path:
    """Seeds of 40 epochs; those that end before reach a value in their last but one, then NaN."""
    for seed, length in enumerate(lengths):
        made = {name: curve[:length].copy() for name, curve in learning(40, 0.5, seed).items()}
        ended = {"stopped": "nonfinite", "bad_epoch": length} if length < 40 else {}
        for name in made if ended else ():
            if name.endswith(columns):
                made[name][-2:] = value, np.nan
        write_run(folder, made, f"seed={seed}", "epochs=40", **ended)
    return folder


@pytest.mark.parametrize("lengths", [(40, 12), (12, 40), (40, 40, 40, 40, 12, 30)])
def test_an_exploded_seed_leaves_every_path_of_its_cell_readable(
    tmp_path: Path, lengths: tuple[int, ...]
) -> None:
    report = report_on(gather([write_seeds(tmp_path / "runs", *lengths)]), None)
    numbers = content(report, tmp_path)
    assert len(numbers["cells"]) == 1
    json.dumps(numbers, allow_nan=False)
    drawn = draw(pictures(report)[0], tmp_path / "figures")
    assert farthest(page(numbers, drawn)) < 5e6
    for file in (tmp_path / "figures").glob("*.svg"):
        assert farthest(file.read_text()) < 1e6, file.name


@pytest.mark.parametrize("columns", ["_loss", "grad_norm", "weight_norm", "fosc_test", "eps", "lr"])
@pytest.mark.parametrize("value", [1e300, 1.7e308, 1e29, np.inf, 1e-310, 5e-324, 0.0])
def test_no_value_is_too_large_or_too_small_to_draw(
    tmp_path: Path, columns: str, value: float
) -> None:
    if np.isinf(value) and columns in ("eps", "lr"):
        return  # refused where the file is read
    cell = cell_of(write_seeds(tmp_path, *[40] * 5, 12, value=value, columns=columns))
    for made in (curves(cell), why(cell)):
        for axes in made.axes:
            low, high = sorted(axes.get_ylim())
            log = axes.get_yscale() == "log"
            assert np.isfinite([low, high]).all() and low < high
            for path in (p for c in axes.collections for p in c.get_paths()):
                y = np.asarray(path.vertices)[:, 1]
                assert log or float(np.abs(y[np.isfinite(y)]).max()) <= 1001 * (high - low)


def test_the_mean_of_huge_values_is_that_of_their_scaled_ones(tmp_path: Path) -> None:
    entries = []
    for factor in (1.0, 2.0**800):
        for seed in range(6):
            made = learning(9, 0.5, seed)
            made["grad_norm"] = factor * (1 + np.arange(9) + 0.1 * seed)
            write_run(tmp_path / str(factor), made, f"seed={seed}")
        entries.append(cell_of(tmp_path / str(factor)).entries)
    small, huge = (band(one, "grad_norm") for one in entries)
    assert small is not None and huge is not None
    for name in ("mean", "low", "high"):
        np.testing.assert_allclose(getattr(huge, name) / 2.0**800, getattr(small, name))


@pytest.mark.parametrize("lengths", [(40, 12), (12, 40)])
def test_lr_and_eps_reach_as_far_as_the_longest_seed(
    tmp_path: Path, lengths: tuple[int, int]
) -> None:
    made = curves(cell_of(write_seeds(tmp_path, *lengths)))
    for title, column in (("learning rate", "lr"), ("eps of training", "eps")):
        assert list(data(named(panel(made, title), column))) == list(range(1, 41))
    assert len({axes.get_xlim() for axes in made.axes}) == 1


def test_segments_are_those_of_the_longest_seed(tmp_path: Path) -> None:
    for seed, length in ((0, 12), (1, 40)):
        made = {name: curve[:length] for name, curve in learning(40, 0.5, seed).items()}
        write_run(tmp_path, made, f"seed={seed}", "epochs=40",
                  "schedule={name: piecewise, milestones: [20]}", name=str(seed))  # fmt: skip
    starts = named(panel(curves(cell_of(tmp_path)), "robust loss"), "segment starts")
    assert 20.5 in np.asarray(starts.get_xdata())


def test_every_seeds_judged_epochs_and_bad_epoch_are_marked(tmp_path: Path) -> None:
    cell = cell_of(write_seeds(tmp_path, 40, 12, 30))
    made = curves(cell)
    axes = panel(made, "robust loss")
    bad = np.asarray(named(axes, "not finite").get_xdata())
    assert sorted(set(bad[np.isfinite(bad)].tolist())) == [12.0, 30.0]
    said = [text.get_text() for text in figure_texts(made)]
    assert "not finite, epochs 12, 30" in said
    judged = {entry.result.verdict.axes["held_out"].epochs for entry in cell.entries} - {None}
    shaded = [patch for patch in axes.patches if patch.get_label() == "held-out window"]
    assert len(shaded) == len(judged) >= 1
    (first, last), *_ = sorted(judged)
    assert f"{first} to {last}" in curves_alt(cell)


def test_a_curve_leaves_its_panel_as_steeply_as_before(tmp_path: Path) -> None:
    made = learning(40, 0.5)
    made["test_robust_loss"][20] = 7e18
    axes = panel(curves(cell_of(write_run(tmp_path, made))), "robust loss")
    drawn, (low, high) = data(named(axes, "test_robust_loss")), axes.get_ylim()
    assert drawn.pop(21) == pytest.approx(high + 1000 * (high - low), rel=1e-6)
    rows = dict(enumerate(made["test_robust_loss"].tolist(), 1))
    assert all(drawn[epoch] == rows[epoch] for epoch in drawn), "inside nothing is moved"


def test_epochs_that_are_global_steps_fill_no_memory(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "log.csv", learning(9))
    rows = pd.read_csv(file)
    rows["epoch"] = [*range(1, 9), 10**14]
    rows.to_csv(file, index=False)
    report = report_on(gather([file]), None)
    drawn = draw(pictures(report)[0], tmp_path / "figures")
    assert "100000000000000" in page(content(report, tmp_path), drawn)


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_cell_of_hardly_any_epochs_is_drawn(tmp_path: Path, epochs: int) -> None:
    nothing = {name: np.full(epochs, np.nan) for name in learning(epochs)}
    write_run(tmp_path, nothing, "seed=0", "epochs=40")
    write_run(tmp_path, learning(epochs), "seed=1", "epochs=40")
    report = report_on(gather([tmp_path]), None)
    assert draw(pictures(report)[0], tmp_path / "figures")
