"""Why a cell does or does not converge: the attack's work, the gap, and the norms over epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from advtrain.diagnosis import rules
from advtrain.diagnosis.table import Floats
from advtrain.report.figures.layout import (
    HALF,
    LINE,
    TITLE,
    Key,
    draw_head,
    draw_keys,
    flow,
    head_height,
    sheet,
)
from advtrain.report.figures.lines import LINES, band_key, draw_band, say
from advtrain.report.figures.marks import CHANCE, drawn_curves, epochs, say_above, segments
from advtrain.report.figures.shapes import in_words
from advtrain.report.figures.style import COLOURS, figure
from advtrain.report.figures.ticks import Range, log_range, loss_range, set_y, share_range
from advtrain.report.input.cells import Cell
from advtrain.report.input.gather import Entry
from advtrain.report.numbers.over_seeds import band

_SINGLE: dict[str, Any] = {"color": COLOURS["single_step"], "linestyle": (0, (3.2, 1.6)),
                           "linewidth": 1.7}  # fmt: skip
_INK: dict[str, Any] = {"color": COLOURS["ink"], "linestyle": "solid", "linewidth": 1.6}
_LIMIT: dict[str, Any] = CHANCE | {"color": COLOURS["false"]}
_LEAST_SHARE = 0.15  # of the axis of shares: so far it reaches at least
_MOST_SHARE = 1.0  # as much again as the steps gained is beyond any limit


@dataclass(frozen=True)
class _Panel:
    """A panel: its title, its curves with their style, and the measured columns behind them."""

    title: str
    curves: tuple[tuple[str, str, dict[str, Any]], ...]  # column, words in the legend, style
    columns: tuple[str, ...]
    missing: str = "not measured"


_PANELS = (
    (
        _Panel(
            "stationary condition (FOSC), nats",
            (("fosc_train", "train", LINES["train"]), ("fosc_test", "test", LINES["test"])),
            ("fosc_train", "fosc_test"),
        ),
        _Panel(
            "robust gap: train minus test accuracy, points",
            (("gap", "above 0: better on train", _INK),),
            ("train_robust_acc", "test_robust_acc"),
        ),
    ),
    (
        _Panel(
            "twice the attack's steps, % of its gain",
            (
                ("probe_share", "train, 64 images", LINES["train"]),
                ("test_share", "test", LINES["test"]),
            ),
            ("probe_robust_loss_2x", "test_robust_loss_2x", "test_robust_loss", "test_clean_loss"),
            "not measured, or no gain to compare with",
        ),
        _Panel("gradient norm", (("grad_norm", "mean over the epoch", _INK),), ("grad_norm",)),
    ),
    (
        _Panel(
            "test accuracy by attack, %",
            (
                ("test_fgsm_acc", "single step", _SINGLE),
                ("test_robust_acc", "PGD", LINES["test"]),
            ),
            ("test_fgsm_acc", "test_robust_acc"),
        ),
        _Panel("weight norm", (("weight_norm", "after the epoch", _INK),), ("weight_norm",)),
    ),
)


@figure
def why(cell: Cell) -> Figure:
    """What the attack reaches on the left; on the right the generalisation gap and the norms."""
    entries = [derived(entry) for entry in cell.entries]
    names = [name for row in _PANELS for panel in row for name, *_ in panel.curves]
    bands = [found for name in names if (found := band(entries, name))]
    heads = [flow(band_key(bands), HALF - 0.2)] * 2
    made, rows = sheet((1.45, 1.45, 1.45), head_height(*heads), TITLE + LINE)
    draw_head(made, (cell.label, in_words(cell)), (heads[0], heads[1]))
    for panels, pair in zip(_PANELS, rows, strict=True):
        for panel, axes in zip(panels, pair, strict=True):
            _draw(made, axes, panel, entries, cell)
    epochs(cell, rows)
    return made


def derived(entry: Entry) -> Entry:
    """The entry with columns of shares and gaps; NaN where the attack gains too little to tell."""
    table = entry.result.table
    if table is None:
        return entry
    missing = np.full(len(table), np.nan)

    def get(name: str) -> Floats:
        return entry.columns.get(name, missing)

    new = {"gap": get("train_robust_acc") - get("test_robust_acc")}
    with np.errstate(all="ignore"):
        for prefix in ("probe", "test"):
            robust = get(f"{prefix}_robust_loss")
            gain = robust - get(f"{prefix}_clean_loss")
            more = get(f"{prefix}_robust_loss_2x") - robust
            new[f"{prefix}_share"] = np.where(gain >= rules.LEAST_GAIN, more / gain, np.nan)
    return replace(entry, columns={**entry.columns, **new})


def _draw(made: Figure, axes: Axes, panel: _Panel, entries: Sequence[Entry], cell: Cell) -> None:
    """One panel with its words, its limits and the segments."""
    axes.set_title(panel.title, pad=5 + 72 * LINE)
    drawn = [curve for curve in panel.curves if draw_band(axes, entries, curve[0], curve[2])]
    if not drawn:
        say(axes, panel.missing if cell.lead.result.table is not None else "no epochs")
        return
    found = drawn_curves(entries, [name for name, *_ in drawn])
    values = [column for _, column in found]
    shown, percent = _range(panel, values), panel.columns[-1].endswith(("acc", "clean_loss"))
    set_y(axes, shown, percent=percent)
    if shown.log:
        axes.set_title(f"{panel.title} (log)", pad=5 + 72 * LINE)
    if "test_share" in (name for name, *_ in panel.curves):
        axes.axhline(rules.WEAK_SHARE, label="limit", **_LIMIT)
        axes.axhline(-rules.WEAK_SHARE, label="limit", **_LIMIT)
    if shown.low < 0 < shown.high and not shown.log:
        axes.axhline(0, color=COLOURS["muted"], linewidth=0.8, zorder=0.9)
    if shown.above:
        say_above(axes, found, percent=percent)
    segments(axes, cell)
    axes.set_label(",".join(name for name in panel.columns if band(entries, name) is not None))
    keys = [Key(words, style) for _, words, style in drawn]
    if "test_share" in (name for name, *_ in panel.curves):
        keys.append(Key(f"limit, {rules.WEAK_SHARE:.0%}", _LIMIT))
    at, (width, height) = axes.get_position(), made.get_size_inches()
    draw_keys(made, [keys], at.x0 * width, at.y1 * height + 0.06 + LINE)


def _range(panel: _Panel, values: Sequence[Floats]) -> Range:
    """The axis that suits what a panel shows."""
    known = np.concatenate([v[np.isfinite(v)] for v in values])
    name = panel.curves[-1][0]
    if name == "fosc_test":
        return log_range(known) if (known > 0).any() else loss_range(values)
    if name == "test_robust_acc":
        return share_range(values)
    if name == "test_share":
        low = max(min(float(known.min()), 0.0) * 1.1, -_MOST_SHARE)
        high = min(max(float(known.max()) * 1.1, _LEAST_SHARE), _MOST_SHARE)
        return Range(min(low, -_LEAST_SHARE / 5), high, above=float(known.max()) > high)
    if name == "gap":
        low, high = min(float(known.min()), 0.0), max(float(known.max()), 0.0)
        edge = max(0.08 * (high - low), 0.005)
        return Range(low - edge, high + edge)
    return loss_range(values)


def why_alt(cell: Cell) -> str:
    """The figure in words."""
    entries = [derived(entry) for entry in cell.entries]
    said = {
        "fosc_test": ("FOSC on test", 1.0, " nats"),
        "test_share": ("twice the steps add to the loss", 100.0, "% of what the steps gained"),
        "test_fgsm_acc": ("single-step accuracy", 100.0, "%"),
        "test_robust_acc": ("PGD accuracy", 100.0, "%"),
        "gap": ("train minus test robust accuracy", 100.0, " points"),
        "grad_norm": ("gradient norm", 1.0, ""),
        "weight_norm": ("weight norm", 1.0, ""),
    }
    parts = []
    for name, (words, factor, unit) in said.items():
        found = band(entries, name)
        if found is not None:
            first, last = (f"{factor * found.mean[i]:.3g}" for i in (0, -1))
            parts.append(f"{words} {first}{unit} at first, {last}{unit} at last")
    return f"Why, {cell.label}: {'; '.join(parts) or 'nothing was measured'}."
