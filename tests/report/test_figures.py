"""The curves of a cell: what is drawn is what the files say."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from advtrain.report.figures.comparison import overlay
from advtrain.report.figures.curves import curves, curves_alt
from advtrain.report.figures.examples import examples, perturbation_colours
from advtrain.report.figures.layout import fit, text_width
from advtrain.report.figures.style import COLOURS
from advtrain.report.figures.ticks import log_ticks, loss_range
from advtrain.report.figures.why import why, why_alt
from advtrain.report.input.cells import Cell
from advtrain.store.examples_npz import of_images
from tests.helpers.drawn import cell_of, data, figure_texts, named, panel, seeds
from tests.helpers.synthetic import learning, write_csv, write_run

LOSSES, ACCURACIES = ("robust loss, nats", "clean loss, nats"), ("robust accuracy, %",)


def test_lines_are_the_columns_of_the_csv(tmp_path: Path) -> None:
    run = write_run(tmp_path, learning(25))
    rows = pd.read_csv(run / "metrics.csv").set_index("epoch")
    figure = curves(cell_of(run))
    drawn = [line for axes in figure.axes for line in axes.lines if line.get_label() in rows]
    assert {str(line.get_label()) for line in drawn} == {
        *(f"{s}_{k}_{w}" for s in ("train", "val", "test") for k in ("robust", "clean")
          for w in ("loss", "acc")), "lr", "eps",
    }  # fmt: skip
    for line in drawn:
        assert data(line) == rows[line.get_label()].to_dict()
    looks = {
        (str(axes_line.get_color()), str(axes_line.get_linestyle()))
        for axes_line in panel(figure, "robust loss").lines
        if "_" in axes_line.get_label()
    }
    assert len(looks) == 3, "each split has its own"


@pytest.mark.parametrize("n", [2, 6])
def test_seeds_mean_and_band_are_those_of_pandas(tmp_path: Path, n: int) -> None:
    cell, rows = seeds(tmp_path, n)
    axes = panel(curves(cell), "robust accuracy")
    grouped = rows.groupby("epoch")["test_robust_acc"]
    mean, sd = grouped.mean(), grouped.std(ddof=1)
    low, high = (grouped.min(), grouped.max()) if n < 5 else (mean - sd, mean + sd)
    assert list(data(named(axes, "test_robust_acc")).values()) == pytest.approx(list(mean))
    y = np.asarray(named(axes, "test_robust_acc seeds").get_ydata())
    parts = np.split(y[np.isfinite(y)], n)
    for part, (_, own) in zip(parts, rows.groupby(level=0)["test_robust_acc"], strict=True):
        assert part.tolist() == own.tolist()
    (polygon,) = [c for c in axes.collections if c.get_label() == "test_robust_acc band"]
    corners = pd.DataFrame(polygon.get_paths()[0].vertices, columns=["x", "y"]).groupby("x")["y"]
    assert list(corners.min()) == pytest.approx(list(low))
    assert list(corners.max()) == pytest.approx(list(high))
    said = {"min to max"} if n == 2 else {"mean ± sd"}
    texts = [t.get_text() for t in figure_texts(curves(cell))]
    assert {t.partition("band ")[2] for t in texts if "band" in t} == said
    assert sum(f"n = {n} seeds" in t for t in texts) == 2, "in both halves"


def test_marks_stand_at_best_last_and_peak(tmp_path: Path) -> None:
    made = learning(30)
    made["val_robust_acc"][11] = 0.9  # epoch 12 is chosen
    made["test_robust_acc"][20] = 0.95  # epoch 21 is highest, which only the oracle knows
    axes = panel(curves(cell_of(write_run(tmp_path, made))), "robust accuracy")
    test = made["test_robust_acc"]
    assert data(named(axes, "best")) == {12.0: test[11]}
    assert data(named(axes, "last")) == {30.0: test[29]}
    assert data(named(axes, "oracle")) == {21.0: 0.95}


def test_windows_segments_and_chance_are_those_of_the_verdict(tmp_path: Path) -> None:
    schedule = "schedule={name: piecewise, milestones: [0.5], gamma: 0.1}"
    cell = cell_of(write_run(tmp_path, learning(40), schedule))
    axes = cell.lead.result.verdict.axes
    figure = curves(cell)
    for title, expected in (("robust loss", 2), ("robust acc", 1), ("clean loss", 0)):
        spans = {p.get_label(): (p.get_x(), p.get_x() + p.get_width())
                 for p in panel(figure, title).patches}  # fmt: skip
        for name, axis in (("held-out window", "held_out"), ("train window", "train")):
            first, last = axes[axis].epochs or (0, 0)
            assert spans.get(name, (first - 0.5, last + 0.5)) == (first - 0.5, last + 0.5)
        assert len(spans) == expected
        x = np.asarray(named(panel(figure, title), "segment starts").get_xdata())
        assert set(x.tolist()) == {20.5}
    assert set(named(panel(figure, "robust loss"), "chance").get_ydata()) == {2.302585}
    assert set(named(panel(figure, "robust accuracy"), "chance").get_ydata()) == {0.1}
    texts = {text.get_text() for text in figure_texts(figure)}
    assert {"chance 2.3", "chance 10%", "judged epochs, test",
            "judged epochs, train", "new segment"} <= texts  # fmt: skip


def test_what_was_not_measured_leaves_gaps_and_what_is_measured_seldom_does_not(
    tmp_path: Path,
) -> None:
    made = learning(30)
    made["train_robust_acc"][10:13] = np.nan
    made["train_robust_acc"][15:17] = made["train_robust_acc"][18] = np.nan  # epoch 18 is alone
    for name in made:
        if name.startswith("test"):
            made[name][np.arange(30) % 5 != 4] = np.nan
    axes = panel(curves(cell_of(write_run(tmp_path, made))), "robust accuracy")
    train, test = named(axes, "train_robust_acc"), named(axes, "test_robust_acc")
    assert np.isnan(np.asarray(train.get_ydata())).sum() == 3
    alone = np.asarray(train.get_xdata())[train.get_markevery()]
    assert alone.tolist() == [18.0] and train.get_marker() == "o"
    assert np.asarray(test.get_xdata()).tolist() == [5, 10, 15, 20, 25, 30]
    assert np.isfinite(np.asarray(test.get_ydata())).all()


@pytest.mark.parametrize("make", [curves, why])
def test_nothing_measured_is_said(tmp_path: Path, make: partial[Figure]) -> None:
    made = {name: np.full(20, np.nan) for name in learning(20)} | {"lr": np.full(20, 0.1)}
    write_run(tmp_path, made)
    texts = [t.get_text() for t in figure_texts(make(cell_of(tmp_path)))]
    assert sum(text.startswith("not measured") for text in texts) == (5 if make is curves else 6)


def test_one_epoch_is_a_dot(tmp_path: Path) -> None:
    axes = panel(curves(cell_of(write_run(tmp_path, learning(1)))), "robust loss")
    line = named(axes, "test_robust_loss")
    assert (line.get_marker(), list(data(line))) == ("o", [1.0])
    assert axes.get_xlim() == (0.5, 1.5)


def test_a_loss_that_explodes_for_an_epoch_is_cut_off_with_words(tmp_path: Path) -> None:
    made = learning(40)
    made["train_robust_loss"][29] = 31234.0
    figure = curves(cell_of(write_run(tmp_path, made)))
    axes = panel(figure, "robust loss")
    assert axes.get_yscale() == "linear" and 2.4 < axes.get_ylim()[1] < 10
    assert [t.get_text() for t in axes.texts] == ["↑ beyond: up to 3.12e+04 in epoch 30"]
    assert not panel(figure, "clean loss").texts


@pytest.mark.parametrize(
    "exploded", [10.0 ** np.arange(25), np.linspace(5e3, 1e4, 35)], ids=["on and on", "early"]
)
def test_a_loss_that_explodes_for_good_has_a_logarithmic_axis(
    tmp_path: Path, exploded: np.ndarray
) -> None:
    made = learning(40)
    made["train_robust_loss"][-len(exploded) :] = exploded
    axes = panel(curves(cell_of(write_run(tmp_path, made))), "robust loss")
    assert axes.get_yscale() == "log" and axes.get_title(loc="left").endswith("(log)")
    low, high = axes.get_ylim()
    assert low < 2.3 and exploded.max() < high < 100 * exploded.max()


@pytest.mark.parametrize("values", [[np.inf, np.nan], [0.0, 0.0], [-1.0, 2.0], [1e300, 1e-300],
                                    [5e-324], [1e308] * 9 + [1.0]])  # fmt: skip
def test_every_loss_has_a_readable_axis(values: list[float]) -> None:
    found = loss_range([np.array(values)], 2.3)
    assert np.isfinite([found.low, found.high]).all() and found.low < found.high
    if found.log:
        assert len(log_ticks(found.low, found.high)) >= 1


def test_doubled_steps_are_a_share_of_what_the_attack_gained(tmp_path: Path) -> None:
    made = learning(20)
    made["test_clean_loss"][:3] = made["test_robust_loss"][:3] - 0.005  # too little to tell
    figure = why(cell_of(write_run(tmp_path, made)))
    axes = panel(figure, "twice the attack's steps")
    gain = made["test_robust_loss"] - made["test_clean_loss"]
    found = data(named(axes, "test_share"))
    assert list(found) == list(range(4, 21))
    assert list(found.values()) == pytest.approx((0.01 / gain)[3:])
    limits = {value for line in axes.lines if line.get_label() == "limit"
              for value in np.asarray(line.get_ydata()).tolist()}  # fmt: skip
    assert limits == {-0.1, 0.1}
    gap = data(named(panel(figure, "robust gap"), "gap"))
    expected = made["train_robust_acc"] - made["test_robust_acc"]
    assert list(gap.values()) == pytest.approx(expected)
    pgd = panel(figure, "test accuracy by attack")
    assert list(data(named(pgd, "test_fgsm_acc")).values()) == made["test_fgsm_acc"].tolist()


def test_steps_that_add_much_more_are_cut_off_with_words(tmp_path: Path) -> None:
    made = learning(20)
    gain = made["test_robust_loss"] - made["test_clean_loss"]
    made["test_robust_loss_2x"][9] = made["test_robust_loss"][9] + 12.5 * gain[9]
    axes = panel(why(cell_of(write_run(tmp_path, made))), "twice the attack's steps")
    assert axes.get_ylim()[1] == 1.0
    assert [t.get_text() for t in axes.texts] == ["↑ beyond: up to 1250% in epoch 10"]


def test_a_reference_lies_beside_in_its_own_epochs(tmp_path: Path) -> None:
    table = {"test_robust_acc": np.linspace(0.1, 0.95, 50)}
    figure = curves(cell_of(write_run(tmp_path, learning(20))), ("A $x$", np.arange(1, 51), table))
    axes = panel(figure, "robust accuracy")
    line = named(axes, "ref test_robust_acc")
    assert axes.get_ylim()[1] > 0.95 > learning(20)["train_robust_acc"].max()
    assert list(data(line).values()) == table["test_robust_acc"].tolist()
    assert line.get_color() == COLOURS["reference"] and axes.get_xlim()[1] >= 50
    assert "A $x$" in {text.get_text() for text in figure_texts(figure)}


def test_very_long_runs_keep_their_spikes_in_few_points(tmp_path: Path) -> None:
    made = learning(10_000)
    made["test_robust_acc"][7777] = 0.99
    cell = cell_of(write_run(tmp_path, made))
    line = named(panel(curves(cell), "robust accuracy"), "test_robust_acc")
    assert len(np.asarray(line.get_xdata())) < 4000
    assert data(line)[7778.0] == 0.99


def test_nothing_crosses_the_middle(tmp_path: Path) -> None:
    long = 'a very $long$ <name> & "quotes" that goes on and on, further than half a page'
    images = of_images("linf", np.full((8, 1, 8, 8), 0.5), np.arange(8) * 111, np.arange(8))
    one = {"clean_label": np.arange(8) * 1000, "robust_label": np.arange(8) * 1000,
           "clean_confidence": np.ones(8), "robust_confidence": np.ones(8)}  # fmt: skip
    images.put("best", 12345, 0.123456, np.full((8, 1, 8, 8), 0.1), **one)
    cell, _ = seeds(tmp_path / long, 6)
    cell = Cell(cell.id, long, 0, cell.entries)
    reference = (long, np.arange(1, 31), {"test_robust_acc": np.full(30, 0.4)})
    for figure in (curves(cell, reference), why(cell), overlay(cell, cell, (long, long)),
                   examples(images, "seed 0")):  # fmt: skip
        renderer = FigureCanvasAgg(figure).get_renderer()
        middle, end = figure.bbox.width / 2, figure.bbox.width
        for text in figure_texts(figure):
            box = text.get_window_extent(renderer)
            assert box.x0 >= 0 and box.x1 <= end + 1, text
            assert box.x1 <= middle or box.x0 >= middle, text


def test_names_are_drawn_as_they_are_written(tmp_path: Path) -> None:
    name = r"$x_1^2$ \frac{1}<b>&"
    file = tmp_path / f"{name}.csv".replace("/", "")
    write_csv(file, {"test_robust_acc": np.linspace(0.1, 0.5, 20)})
    (title,) = [t for t in figure_texts(curves(cell_of(file))) if "frac" in t.get_text()]
    assert title.get_text() == name and not title.get_parse_math()


def test_text_is_cut_to_the_room_it_has() -> None:
    assert fit("short", 5.0) == "short"
    cut = fit("word " * 5000, 2.0)
    assert cut.endswith("…") and 1.7 < text_width(cut) <= 2.0


def test_perturbations_of_grey_images_are_white_where_nothing_changes() -> None:
    shown = perturbation_colours(np.array([[[[0, 127, -127]]]], dtype=np.int8))
    nothing, up, down = shown[0, :, 0].T
    assert nothing.tolist() == [1, 1, 1]
    assert up[0] > up[2] and down[2] > down[0], "red lightens, blue darkens"
    colour = perturbation_colours(np.array([0, 127, -127], dtype=np.int8).reshape(1, 3, 1, 1))
    assert colour.ravel().tolist() == [0.5, 1.0, 0.0]


def test_the_figures_are_told_in_words(tmp_path: Path) -> None:
    made = learning(30)
    made["val_robust_acc"][11] = 0.9
    made["test_robust_acc"][[0, 11, 29]] = 0.125, 0.5, 0.25
    cell = cell_of(write_run(tmp_path, made))
    text = curves_alt(cell)
    assert "over 30 epochs, 1 seed" in text
    assert "Test robust accuracy 12.5% at first, 25% at last." in text
    assert "Best on validation: 50% in epoch 12." in text and "Chance is 10%." in text
    assert "weight norm 5 at first" in why_alt(cell)
