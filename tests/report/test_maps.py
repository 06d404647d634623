"""Maps, the cells beside each other, and two sides."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.patches import Polygon, Rectangle
from matplotlib.text import Text

from advtrain.report.figures.accuracy_map import accuracy_map, accuracy_map_alt
from advtrain.report.figures.all_cells import overview
from advtrain.report.figures.comparison import differences, differences_alt
from advtrain.report.figures.shapes import shape
from advtrain.report.figures.style import COLOURS
from advtrain.report.figures.verdict_map import verdict_map, verdict_map_alt
from advtrain.report.input.cells import Map, MapAxis
from advtrain.report.numbers.compare import Difference
from advtrain.report.numbers.outcome import OUTCOMES
from advtrain.report.numbers.over_seeds import summary
from tests.helpers.drawn import cell, entry, texts

LR = ("0.001", "0.01", "0.1", "1")


def outcomes() -> Map:
    """A row that converges but for a seed, and one with the other outcomes; a place is empty."""
    yes, no, unsure = (partial(entry, converged=c) for c in (True, False, None))
    rows = [
        [(yes(0), yes(1)), (yes(0), no(1)), (yes(0), entry(1, None, "failed")), None],
        [(no(0), no(1)), (unsure(0), unsure(1)), (entry(0, None, "running"),),
         (entry(0, None, "failed"),)],
    ]  # fmt: skip
    grid = tuple(
        tuple(None if each is None else cell({"eps": eps, "lr": lr}, *each)
              for lr, each in zip(LR, row, strict=True))
        for eps, row in zip(("0.1", "0.2"), rows, strict=True)
    )  # fmt: skip
    return Map(0, "", MapAxis(("eps",), ("0.1", "0.2")), MapAxis(("lr",), LR), grid)


def patches(made: Figure) -> dict[str, Rectangle]:
    return {str(p.get_gid())[5:]: p for p in made.findobj(Rectangle)
            if str(p.get_gid()).startswith("cell-")}  # fmt: skip


def inside(patch: Rectangle, made: Figure) -> list[str]:
    """The texts that stand on a cell, from the top."""
    found = [t for t in made.findobj(Text) if patch.get_x() < t.get_position()[0]
             < patch.get_x() + patch.get_width() and patch.get_y() < t.get_position()[1]
             < patch.get_y() + patch.get_height() and t.get_text()]  # fmt: skip
    return [t.get_text() for t in sorted(found, key=lambda t: -t.get_position()[1])]


def test_each_cell_has_its_outcomes_colour_and_count() -> None:
    made = verdict_map(outcomes())
    found = {id: (to_hex(p.get_facecolor()), inside(p, made)) for id, p in patches(made).items()}
    assert found == {
        "0.1-0.001": (COLOURS["true_fill"], ["2/2"]),
        "0.1-0.01": (COLOURS["mixed_fill"], ["1/2", "1 made"]),
        "0.1-0.1": (COLOURS["true_fill"], ["1/2"]),
        "0.2-0.001": (COLOURS["false_fill"], ["0/2", "2 made"]),
        "0.2-0.01": (COLOURS["null_fill"], ["0/2", "2 made"]),
        "0.2-0.1": (COLOURS["waiting_fill"], ["0/1"]),
        "0.2-1": (COLOURS["failed_fill"], ["0/1"]),
    }
    said = texts(made)
    assert {"every seed converges: 2", "no seed converges: 1", "seeds disagree: 1"} <= set(said)
    assert {"cannot tell: 1", "failed: 1", "not finished: 1"} <= set(said)


def test_every_seed_has_a_shape_on_its_cell_and_trouble_a_corner() -> None:
    made = verdict_map(outcomes())
    cells = patches(made)

    def where(x: float, y: float) -> str:
        return next(id for id, p in cells.items() if p.get_x() < x < p.get_x() + p.get_width()
                    and p.get_y() < y < p.get_y() + p.get_height())  # fmt: skip

    shapes = {str(line.get_label()): sorted(where(x, y) for x, y in line.get_xydata())
              for line in made.findobj(Line2D) if line.get_label() in
              ("converged", "not_converged", "undecided", "failed", "unfinished")}  # fmt: skip
    assert shapes == {
        "converged": ["0.1-0.001", "0.1-0.001", "0.1-0.01", "0.1-0.1"],
        "not_converged": ["0.1-0.01", "0.2-0.001", "0.2-0.001"],
        "undecided": ["0.2-0.01", "0.2-0.01"],
        "failed": ["0.1-0.1", "0.2-1"],
        "unfinished": ["0.2-0.1"],
    }
    corners = [p for p in made.findobj(Polygon) if type(p) is Polygon]
    assert {where(*(p.get_xy().mean(axis=0))) for p in corners} == {"0.1-0.01", "0.1-0.1"}


def test_outcomes_have_shapes_that_colour_is_not_needed_for() -> None:
    looks = {name: MarkerStyle(shape(name)["marker"]) for name in OUTCOMES}
    outlines = {name: one.get_path().transformed(one.get_transform()).vertices.round(6).tobytes()
                for name, one in looks.items()}  # fmt: skip
    assert len(set(outlines.values())) == len(OUTCOMES) == 6
    left, low, right = shape("converged")["marker"].vertices
    assert low[1] < left[1] < right[1] and left[0] < low[0] < right[0], "a check mark"
    assert shape("not_converged")["marker"] == "x"


def test_many_seeds_become_numbers() -> None:
    many = cell({"lr": "1"}, *(entry(i, i < 7) for i in range(12)))
    made = verdict_map(Map(0, "", None, MapAxis(("lr",), ("1",)), ((many,),)))
    assert sorted(inside(patches(made)["1"], made)) == ["5", "7", "7/12"]


def test_a_band_stands_under_the_values_that_converge() -> None:
    bands = [{"eps": ".2", "key": "lr", "low": "1e-2", "high": "0.1", "text": "lr 0.01 to 0.1"}]
    made = verdict_map(outcomes(), bands)
    (line,) = [one for one in made.findobj(Line2D) if one.get_label() == "band"]
    x, y = line.get_xdata(), line.get_ydata()
    first, last = (patches(made)[id] for id in ("0.2-0.01", "0.2-0.1"))
    assert first.get_x() < min(x) < first.get_x() + 0.1
    assert last.get_x() + last.get_width() - 0.1 < max(x) < last.get_x() + last.get_width()
    assert all(first.get_y() < one < first.get_y() + first.get_height() for one in y)
    assert "where lr converges" in texts(made)
    assert verdict_map_alt(outcomes(), bands).endswith("lr 0.01 to 0.1")
    elsewhere = [bands[0] | {"key": "eps"}, bands[0] | {"low": "", "high": ""}]
    assert "band" not in {line.get_label() for line in verdict_map(outcomes(), elsewhere).artists}


def test_accuracy_has_mean_spread_and_n_on_a_colour_by_the_mean() -> None:
    row = (cell({"lr": "1"}), cell({"lr": "2"}), cell({"lr": "3"}), cell({"lr": "4"}))
    values = {"1": summary([0.5, 0.25]), "2": summary([0.1, 0.2, 0.3, 0.4, 0.5]),
              "3": summary([0.9, None]), "4": summary([None])}  # fmt: skip
    one = Map(0, "", None, MapAxis(("lr",), ("1", "2", "3", "4")), (row,))
    made = accuracy_map(one, values, "At eps 0.1")
    cells = patches(made)
    assert inside(cells["1"], made) == ["37.5", "25.0–50.0", "n = 2"]
    assert inside(cells["2"], made) == ["30.0", "± 15.8", "n = 5"]
    assert inside(cells["3"], made) == ["90.0", "n = 1"]
    assert inside(cells["4"], made) == ["–"]
    assert "At eps 0.1" in texts(made)
    assert "mean over seeds, least and most or ± sd, n seeds" in texts(made)
    assert "1 37.5, 2 30.0, 3 90.0, 4 not measured" in accuracy_map_alt(one, values)
    for n in range(101):
        made = accuracy_map(Map(0, "", None, MapAxis(("lr",), ("1",)), (row[:1],)),
                            {"1": summary([n / 100])})  # fmt: skip
        background = to_hex(patches(made)["1"].get_facecolor())
        assert background == to_hex(colormaps["cividis"](n / 100))
        for text in made.texts:
            if text.get_text() == f"{n:.1f}":
                assert contrast(str(text.get_color()), background) >= 4.5


def contrast(a: str, b: str) -> float:
    """The ratio that WCAG 2 defines."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted([luminance(a), luminance(b)])
    return (light + 0.05) / (dark + 0.05)


def test_colours_are_told_apart_and_stand_out() -> None:
    assert len(set(COLOURS.values())) == len(COLOURS)
    for name, colour in COLOURS.items():
        if not name.endswith("fill") and name not in ("paper", "grid", "window", "on_dark"):
            assert contrast(colour, COLOURS["paper"]) >= (3 if name == "chance" else 4.5), name


def test_the_overview_shows_every_seed_of_very_many_cells() -> None:
    cells = [cell({"lr": str(i)}, *(entry(s, True, acc=(i + s) / 400) for s in range(3)))
             for i in range(300)]  # fmt: skip
    made = overview(cells)
    (axes,) = made.axes
    last = next(line for line in axes.lines if line.get_label() == "last epoch")
    assert sorted(np.asarray(last.get_xdata()).tolist()) == sorted(
        (i + s) / 400 for i in range(300) for s in range(3)
    )
    means = next(line for line in axes.lines if line.get_label() == "mean")
    assert list(means.get_xdata()) == pytest.approx([(i + 1) / 400 for i in range(300)])
    assert np.rint(np.asarray(means.get_ydata(), float)).tolist() == list(range(300))
    assert made.get_size_inches()[1] < 25
    assert 50 < len(axes.get_yticklabels()) < 150, "not all can be named"


def test_differences_stand_where_they_are_in_points() -> None:
    one = Difference("lr 1", "last", "a", "b", 0.5, 0.52, 0.02, 0.01, 0.03, 3, 3, True)
    two = Difference("lr 1", "best", "a", "b", 0.5, 0.49, -0.01, None, None, 1, 2, False)
    made = differences([one, two])
    lines = {(str(x.get_label()), tuple(np.round(x.get_xdata(), 9))) for x in made.axes[0].lines}
    assert {("last", (2.0,)), ("interval", (1.0, 3.0)), ("best", (-1.0,))} <= lines
    assert {"n = 3, paired", "n = 1 and 2"} <= set(texts(made))
    assert "lr 1, last epoch: +2.0 points (95% interval +1.0 to +3.0)" in differences_alt([one])
    assert "not measured on both sides" in " ".join(texts(differences([])))
