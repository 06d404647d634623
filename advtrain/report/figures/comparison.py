"""Two sides in one figure: differences with their intervals, and curves over each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator

from advtrain.report.figures.layout import (
    HALF,
    LINE,
    Key,
    draw_head,
    draw_keys,
    fit,
    flow,
    head_height,
    sheet,
    text_width,
    write,
)
from advtrain.report.figures.lines import band_key, draw_band, say
from advtrain.report.figures.marks import span
from advtrain.report.figures.style import COLOURS, SIZE, SMALL, figure
from advtrain.report.figures.ticks import (
    linear_ticks,
    loss_range,
    set_epochs,
    set_y,
    share_range,
)
from advtrain.report.input.cells import Cell
from advtrain.report.numbers.compare import Difference
from advtrain.report.numbers.over_seeds import final, over

_WIDTH, _ROW, _HIGHEST, _LONGEST = 6.6, 0.27, 22.0, 2.4  # inches
_MOMENTS = {"last": ("last epoch", "o", COLOURS["test"]),
            "best": ("best on validation", "D", COLOURS["val"])}  # fmt: skip
_RIGHT = 1.1  # inches for the number of seeds
_TALL = 2.2
# (column, side) as drawn on the left and on the right; train beside test has another dash
_SOLID: dict[str, Any] = {"linestyle": "solid", "linewidth": 2.0}
_DASHED: dict[str, Any] = {"linestyle": (0, (4, 1.8)), "linewidth": 1.5}


@figure
def differences(found: Sequence[Difference]) -> Figure:
    """B - A of robust accuracy in points, a row each, with its interval where there is one."""
    row = min(_ROW, _HIGHEST / max(len(found), 1))
    named = [one.label if one.what == "last" else "" for one in found]
    labels = [fit(label, _LONGEST, SMALL) for label in named]
    left = 0.3 + max((text_width(label, SMALL) for label in labels), default=0.0)
    keys = flow(_keys(), _WIDTH - 0.3)
    head, foot = 0.45 + LINE * len(keys), 0.6
    height = head + foot + row * max(len(found), 1)
    made = Figure(figsize=(_WIDTH, height))
    write(made, 0.14, height - 0.2, "B minus A: test robust accuracy", SIZE + 1)
    draw_keys(made, keys, 0.14, height - 0.36)
    axes = made.add_axes((left / _WIDTH, foot / height, (_WIDTH - left - _RIGHT) / _WIDTH,
                          (height - head - foot) / height))  # fmt: skip
    axes.set_ylim(max(len(found), 1) - 0.5, -0.5)
    ends = [0.0]
    for i, one in enumerate(found):
        if one.difference is None:
            continue
        _, marker, colour = _MOMENTS[one.what]
        low, high = (one.difference if end is None else end for end in (one.low, one.high))
        ends += [100 * low, 100 * high]
        if row >= LINE * 0.7:
            write(made, _WIDTH - _RIGHT + 0.12, height - head - (i + 0.5) * row, _count(one), SMALL,
                  "muted")  # fmt: skip
        axes.plot([100 * low, 100 * high], [i, i], color=colour, linewidth=1.6, label="interval")
        alone = one.low is None
        axes.plot([100 * one.difference], [i], marker=marker, markersize=6, color=colour,
                  markerfacecolor=COLOURS["paper"] if alone else colour,
                  linestyle="none", label=one.what)  # fmt: skip
    if len(ends) == 1:
        say(axes, "test_robust_acc was not measured on both sides")
        return made
    edge = max(0.06 * (max(ends) - min(ends)), 0.2)
    axes.set_xlim(min(ends) - edge, max(ends) + edge)
    axes.axvline(0, color=COLOURS["ink"], linewidth=1.0, zorder=0.9, label="zero")
    places = linear_ticks(min(ends) - edge, max(ends) + edge, 6)
    axes.xaxis.set_major_locator(FixedLocator(places))
    axes.xaxis.set_major_formatter(FixedFormatter([f"{v:+.4g}" if v else "0" for v in places]))
    axes.grid(axis="x")
    axes.set_xlabel("points; right of 0, B is better", labelpad=2)
    first = [i for i, label in enumerate(labels) if label]
    axes.yaxis.set_major_locator(FixedLocator(first))
    axes.yaxis.set_major_formatter(FixedFormatter([labels[i] for i in first]))
    axes.tick_params(axis="y", length=0)
    return made


def _count(one: Difference) -> str:
    """How many seeds stand behind a difference."""
    if one.paired:
        return f"n = {one.seeds_a}, paired"
    return f"n = {one.seeds_a} and {one.seeds_b}"


def _keys() -> list[Key]:
    marks = [Key(words, {"linestyle": "none", "marker": marker, "color": colour, "markersize": 6})
             for words, marker, colour in _MOMENTS.values()]  # fmt: skip
    line = {"color": COLOURS["muted"], "linewidth": 1.6}
    hollow = {"linestyle": "none", "marker": "o", "markersize": 6, "color": COLOURS["muted"],
              "markerfacecolor": COLOURS["paper"]}  # fmt: skip
    return [*marks, Key("95% interval over seeds", line), Key("one seed: no interval", hollow)]


def differences_alt(found: Sequence[Difference]) -> str:
    """Every difference in words."""
    parts = []
    for one in found:
        if one.difference is not None:
            text = f"{one.label}, {_MOMENTS[one.what][0]}: {100 * one.difference:+.1f} points"
            if one.low is not None and one.high is not None:
                text += f" (95% interval {100 * one.low:+.1f} to {100 * one.high:+.1f})"
            parts.append(f"{text}, {_count(one)}")
    return f"B minus A, test robust accuracy. {'; '.join(parts) or 'Not measured on both sides'}."


@figure
def overlay(a: Cell, b: Cell, names: tuple[str, str]) -> Figure:
    """Robust loss of train and test on the left, test robust accuracy on the right; A and B.

    `names` are what the recipes are called, if they have names.
    """
    said = [Key(fit(f"{'AB'[i]}: {name}" if name else "AB"[i], HALF - 1.2, SMALL),
                _SOLID | {"color": COLOURS[f"side_{'ab'[i]}"]})
            for i, name in enumerate(names)]  # fmt: skip
    dash = [Key("test", _SOLID | {"color": COLOURS["ink"]}),
            Key("train", _DASHED | {"color": COLOURS["ink"]})]  # fmt: skip
    made, rows, bands = None, None, []
    keys = [flow([*said, *dash], HALF - 0.3), flow(said, HALF - 0.3)]
    made, rows = sheet([_TALL], head_height(*keys, [[]]) + LINE)
    (left, right) = rows[0]
    for axes, columns in ((left, ("test_robust_loss", "train_robust_loss")),
                          (right, ("test_robust_acc",))):  # fmt: skip
        found = []
        for side, cell in (("side_a", a), ("side_b", b)):
            for column in columns:
                style = _SOLID if column.startswith("test") else _DASHED
                one = draw_band(axes, cell.entries, column, style | {"color": COLOURS[side]})
                found += [one] if one else []
        bands += found
        if not found:
            say(axes, "not measured")
            continue
        accuracy = columns[0].endswith("acc")
        highs = [one.high for one in found]
        set_y(axes, share_range(highs) if accuracy else loss_range(highs), percent=accuracy)
        spans = [s for cell in (a, b) if (s := span(cell))]
        set_epochs(axes, min(s[0] for s in spans), max(s[1] for s in spans), labels=True)
        axes.set_label(",".join(columns))
        axes.set_title("robust accuracy, %" if accuracy else "robust loss, nats")
    keys[0] += [band_key(bands)] if band_key(bands) else []
    same = a.label == b.label
    titles = (a.label if same else f"{a.label} | {b.label}", "A and B")
    draw_head(made, titles, (keys[0], keys[1]))
    return made


def overlay_alt(a: Cell, b: Cell, names: tuple[str, str]) -> str:
    """Which cells lie over each other."""
    said = []
    for letter, cell, name in (("A", a, names[0]), ("B", b, names[1])):
        one = over(cell.entries, final, "test_robust_acc")
        value = "not measured" if one.mean is None else f"{100 * one.mean:.1f}%"
        called = ", ".join(dict.fromkeys(filter(None, [name, cell.label])))
        said.append(f"{letter} ({called}) ends at {value}")
    return f"Robust loss and test robust accuracy over the epochs: {'; '.join(said)}."
