"""What figures say of several cells and of examples: words, captions, and what the page reads."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from advtrain.errors import RunFailed
from advtrain.report.figures import drawing
from advtrain.report.figures.accuracy_map import accuracy_map, accuracy_map_alt
from advtrain.report.figures.all_cells import overview, overview_alt
from advtrain.report.figures.comparison import differences, overlay, overlay_alt
from advtrain.report.figures.curves import curves, curves_alt
from advtrain.report.figures.drawing import Drawing, draw, save
from advtrain.report.figures.examples import examples, examples_alt, perturbation_colours
from advtrain.report.figures.shapes import in_words
from advtrain.report.figures.style import COLOURS, figure
from advtrain.report.figures.verdict_map import verdict_map
from advtrain.report.figures.why import why, why_alt
from advtrain.report.input.cells import Cell, Map, MapAxis, cells_of, maps_of
from advtrain.report.input.gather import Entry, gather
from advtrain.report.numbers.over_seeds import last, summary
from advtrain.store.examples_npz import Examples, of_images
from tests.helpers.drawn import cell, cell_of, data, entry, figure_texts, named, panel, seeds, texts
from tests.helpers.synthetic import learning, write_csv, write_grid, write_run


def one_map(*cells: Cell) -> Map:
    labels = tuple(each.at["lr"] for each in cells)
    return Map(0, "", None, MapAxis(("lr",), labels), (cells,))


def title(made: Figure) -> str:
    """The topmost line."""
    return max(figure_texts(made), key=lambda text: text.get_position()[1]).get_text()


def test_the_accuracy_map_names_its_attack_and_eps(tmp_path: Path) -> None:
    axes, cells = cells_of(gather([write_grid(tmp_path / "same", 9)]))
    (one,) = maps_of(axes, cells)
    values = {c.id: summary([last(e, "test_robust_acc") for e in c.entries]) for c in cells}
    assert title(accuracy_map(one, values)) == "Robust accuracy, %: last epoch, PGD-2, linf eps 0.1"
    assert accuracy_map_alt(one, values).startswith(f"{title(accuracy_map(one, values))}, over lr")
    for each in ("eps=0.1", "eps=0.3"):
        write_run(tmp_path / "two", learning(9), each, f"evaluation.steps={each[-1]}0")
    axes, cells = cells_of(gather([tmp_path / "two"]))
    other = maps_of(axes, cells)[0]
    assert title(accuracy_map(other, {})) == "Robust accuracy, %: last epoch, linf, each its eps"
    assert title(accuracy_map(one, values, "At eps 1")) == "At eps 1"
    nameless = one_map(cell({"lr": "1"}, entry(0, True)))
    assert title(accuracy_map(nameless, {})) == "Robust accuracy, %: last epoch"


@pytest.mark.parametrize(("entries", "said"), [
    ([entry(0, True)], "converged"),
    ([entry(0, None)], "undecided: cannot tell"),
    ([entry(0, None), entry(1, None)], "2 of 2 seeds undecided"),
    ([entry(0, False), entry(1, False)], "2 of 2 seeds not converged"),
    ([entry(0, None), entry(1, True), entry(2, None, "failed")],
     "3 seeds: 1 converged, 1 undecided, 1 failed"),
    ([entry(0, None, "running")], "not finished"),
])  # fmt: skip
def test_a_cells_outcome_is_said_in_words(entries: list[Entry], said: str) -> None:
    assert in_words(cell({"lr": "1"}, *entries)) == said


def test_an_outcome_of_single_seeds_has_its_key() -> None:
    mixed = cell({"lr": "1"}, entry(0, True), entry(1, None))
    said = set(texts(verdict_map(one_map(mixed))))
    assert {"seeds disagree: 1", "one seed: cannot tell", "one seed: converged"} <= said


def test_the_overview_tells_last_and_best_of_each_seed(tmp_path: Path) -> None:
    made = learning(20)
    made["val_robust_acc"][11], made["test_robust_acc"][11] = 0.9, 0.375
    made["test_robust_acc"][19] = 0.5
    write_run(tmp_path, made, "seed=0")
    made["test_robust_acc"][[11, 19]] = 0.25, 0.75
    write_run(tmp_path, made, "seed=1")
    cells = [cell_of(tmp_path), cell({"lr": "9"}, entry(0, None, "failed"))]
    (axes,) = overview(cells).axes
    assert np.asarray(named(axes, "last epoch").get_xdata()).tolist() == [0.5, 0.75]
    assert np.asarray(named(axes, "best on validation").get_xdata()).tolist() == [0.375, 0.25]
    assert np.asarray(named(axes, "mean").get_xdata()).tolist() == [0.625]
    assert set(named(axes, "chance").get_xdata()) == {0.1}
    for name in ("last epoch", "best on validation", "mean"):
        y = np.asarray(named(axes, name).get_ydata(), float)
        assert np.rint(y).tolist() == [0.0] * len(y), "in the first cell's row"
    assert [label.get_text() for label in axes.get_yticklabels()] == [cells[0].label, "9"]
    assert overview_alt(cells, True) == (
        "Test robust accuracy of 2 cells in the last epoch, mean over seeds: from 62.5% "
        f"(A: {cells[0].label}) to 62.5% (A: {cells[0].label})."
    )
    waiting = cells[1:] * 2
    assert "test_robust_acc: not measured" in texts(overview(waiting))
    assert overview_alt(waiting) == "Test robust accuracy of 2 cells: not measured."


def test_two_sides_lie_over_each_other(tmp_path: Path) -> None:
    (a, rows_a), (b, rows_b) = seeds(tmp_path / "a", 2), seeds(tmp_path / "b", 6)
    made = overlay(a, b, ("first <a>", "second $b$"))
    loss, accuracy = panel(made, "robust loss"), panel(made, "robust accuracy")
    for axes, columns in ((loss, ("test_robust_loss", "train_robust_loss")),
                          (accuracy, ("test_robust_acc",))):  # fmt: skip
        for column in columns:
            thick = [line for line in axes.lines if line.get_label() == column]
            assert [line.get_color() for line in thick] == [COLOURS["side_a"], COLOURS["side_b"]]
            for line, rows in zip(thick, (rows_a, rows_b), strict=True):
                mean = rows.groupby("epoch")[column].mean()
                assert list(data(line).values()) == pytest.approx(list(mean))
            assert [c.get_label() for c in axes.collections].count(f"{column} band") == 2
    dashes = {line.get_label(): line.get_linestyle() for line in loss.lines
              if not line.get_label().endswith("seeds")}  # fmt: skip
    assert dashes["test_robust_loss"] != dashes["train_robust_loss"]
    said = texts(made)
    assert said.count("A: first <a>") == said.count("B: second $b$") == 2, "in both halves"
    assert "n = 2 to 6 seeds, band min to max or mean ± sd" in said
    ends = [100 * rows.groupby("epoch")["test_robust_acc"].mean().iloc[-1]
            for rows in (rows_a, rows_b)]  # fmt: skip
    alt = overlay_alt(a, b, ("first <a>", "second $b$"))
    assert f"ends at {ends[0]:.1f}%" in alt and f"ends at {ends[1]:.1f}%" in alt


def answered(n: int = 4) -> Examples:
    """Images 0 to n - 1 of that class, of which the attack makes every second one a 9."""
    images = np.arange(n)[:, None, None, None] / 10 + np.zeros((n, 1, 8, 8))
    found, right = of_images("linf", images, np.arange(n), np.arange(n)), np.arange(n)
    delta = np.where(np.arange(8) < 4, 0.1, -0.1) * np.ones((n, 1, 8, 8))
    for stage, epoch in (("first", 1), ("last", 30)):
        found.put(stage, epoch, 0.1, delta, clean_label=right, clean_confidence=np.full(n, 0.75),
                  robust_label=np.where(right % 2, 9, right),
                  robust_confidence=np.full(n, 0.5))  # fmt: skip
    return found


def test_examples_show_the_images_the_perturbations_and_who_is_fooled() -> None:
    found = answered()
    made = examples(found, "seed 3")
    mosaics = [np.asarray(axes.images[0].get_array()) for axes in made.axes]
    assert len(mosaics) == 2 * 5, "two halves; x, and two stages with perturbation and x_adv"
    for half, of in ((0, (0, 1)), (1, (2, 3))):
        rows = mosaics[5 * half : 5 * half + 5]
        expected = [
            found.x[list(of), 0, 0],
            None,
            found.x_adv("first")[list(of), 0, 0],
            None,
            found.x_adv("last")[list(of), 0, 0],
        ]
        for row, values in zip(rows, expected, strict=True):
            line = row[0]
            opaque = line[line[:, 3] == 1, :3].reshape(2, 8, -1, 3)
            assert np.ptp(opaque, axis=2).max() == 0, "a pixel is of one colour"
            if values is None:
                colours = perturbation_colours(found.stages["first"].delta[list(of)])
                wanted = np.moveaxis(colours[:, :, 0], 1, -1)
            else:
                wanted = np.repeat(values[:, :, None], 3, axis=2)
            assert opaque[:, :, 0] == pytest.approx(wanted, abs=1e-9)
    captions = [(text.get_text(), str(text.get_color())) for text in figure_texts(made)]
    for i in range(4):
        assert captions.count((f"{i} 75%", COLOURS["ink"])) == 2, "before, at both stages"
        after = ("✗ 9 50%", COLOURS["false"]) if i % 2 else (f"{i} 50%", COLOURS["ink"])
        assert after in captions
    assert sum(text.startswith("✗") for text, _ in captions) == 4
    said = [text for text, _ in captions]
    assert said.count("full: ±0.1") == 4 and said.count("eps 0.1") == 4
    assert {"Adversarial examples of test images, seed 3", "epoch 1", "epoch 30"} <= set(said)
    assert examples_alt(found, "seed 3") == (
        "4 test images and their perturbations, seed 3: after the first epoch (1) 4 of 4 are "
        "classified rightly, 2 when perturbed by eps 0.1; after the last epoch (30) 4 of 4 are "
        "classified rightly, 2 when perturbed by eps 0.1."
    )


def test_examples_before_any_stage_say_so() -> None:
    found = of_images("l2", np.zeros((1, 3, 4, 4)), np.zeros(1, int), np.zeros(1, int))
    assert "no stage yet" in texts(examples(found))
    assert examples_alt(found).endswith("no stage yet.")


@pytest.mark.parametrize("make", [curves, why])
def test_the_page_finds_the_panels_where_they_are_drawn(
    tmp_path: Path, make: partial[Figure]
) -> None:
    run = write_run(tmp_path, learning(40))
    drawn = save(Drawing("one", "", partial(make, cell_of(run))), tmp_path)
    measured = set(pd.read_csv(run / "metrics.csv").dropna(axis=1, how="all"))
    made = make(cell_of(run))
    assert len(drawn.panels) == len(made.axes) == 6
    fonts = (tmp_path / "one.pdf").read_bytes().count(b"/FontFile2")
    assert fonts == 1, "each takes a tenth of a second: beyond Latin-1 or a ligature needs another"
    view = [float(v) for v in ET.fromstring(drawn.svg).attrib["viewBox"].split()]
    for found, axes in zip(drawn.panels, made.axes, strict=True):
        assert set(found.columns) <= measured and found.columns
        box = axes.get_position()
        assert (found.left, found.top) == pytest.approx((box.x0, 1 - box.y1))
        assert (found.width, found.height) == pytest.approx((box.width, box.height))
        assert (found.first, found.last) == axes.get_xlim() and found.first < 1 < 40 < found.last
        assert found.left + found.width < 0.5 or found.left > 0.5
        drawn_here = {str(line.get_label()) for line in axes.lines} & measured
        assert drawn_here <= set(found.columns)
    assert view[2] == pytest.approx(made.get_size_inches()[0] * 72)


def test_nothing_is_cut_off_at_the_edges() -> None:
    long = 'lr "a very long value" of <some> $key$ that does not fit anywhere at all, truly'
    cells = [cell({"lr": f"{i} {long}"}, entry(0, True), entry(1, None, "failed")) for i in (0, 1)]
    one = one_map(*cells)
    values = {each.id: summary([0.5, 0.25]) for each in cells}
    for made in (verdict_map(one), accuracy_map(one, values, long * 2), overview(cells, True),
                 differences([])):  # fmt: skip
        canvas = FigureCanvasAgg(made)
        canvas.draw()  # which puts the axes' labels where they belong
        renderer = canvas.get_renderer()
        for text in figure_texts(made):
            box = text.get_window_extent(renderer)
            assert box.x0 >= 0 and box.x1 <= made.bbox.width + 1, text
            assert box.y0 >= 0 and box.y1 <= made.bbox.height + 1, text


def test_hostile_names_are_one_line_of_text(tmp_path: Path) -> None:
    hostile = "a\n../../b\x1b[31m 'q' \"r\" $x_1^2$ <b> & ]]> \u202e"
    file = write_csv(tmp_path / "one.csv", {"test_robust_acc": np.linspace(0.1, 0.5, 20)})
    reference = (hostile, np.arange(1, 21), {"test_robust_acc": np.full(20, 0.4)})
    found = Drawing("one", "", partial(curves, cell_of(file), reference))
    svg = draw([found], tmp_path / "out")["one"].svg
    said = [e.text or "" for e in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert any(text.startswith("a ../../b [31m 'q'") for text in said), said
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["one.pdf", "one.png", "one.svg"]


@figure
def broken() -> Figure:
    raise ValueError("no\nsuch thing")


@pytest.mark.parametrize("processors", [1, 2])
def test_a_figure_that_cannot_be_drawn_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processors: int
) -> None:
    monkeypatch.setattr(drawing, "_processors", lambda: processors)
    fine = [Drawing(f"fine-{i}", "", partial(Figure, (1, 1))) for i in range(9)]
    with pytest.raises(RunFailed) as raised:
        draw([*fine, Drawing("bad", "", partial(broken))], tmp_path)
    assert str(raised.value) == f"{tmp_path / 'bad'}: cannot be drawn: ValueError: no such thing"


def test_what_is_measured_is_said_in_words_and_nothing_else(tmp_path: Path) -> None:
    made = learning(20)
    made["train_robust_acc"][-1], made["test_robust_acc"][-1] = 0.75, 0.5
    made["test_fgsm_acc"][:] = np.nan
    text = why_alt(cell_of(write_run(tmp_path, made)))
    assert "train minus test robust accuracy " in text and ", 25 points at last" in text
    assert "single-step" not in text and "FOSC on test 0.01 nats at first" in text
    reference = ("ref", np.arange(1, 3), {})
    assert curves_alt(cell_of(tmp_path), reference).endswith("Beside it the reference ref.")
    assert curves_alt(cell({"lr": "1"}, entry(0, None, "failed"))) == "Curves of 1: no epochs yet."
