"""A cell's losses and accuracies over the epochs, with all that the verdict rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from advtrain.diagnosis.level import split_of
from advtrain.diagnosis.segments import phases
from advtrain.diagnosis.table import Floats, Table
from advtrain.report.figures.layout import (
    HALF,
    Key,
    draw_head,
    fit,
    flow,
    head_height,
    sheet,
)
from advtrain.report.figures.lines import LINES, SPLITS, band_key, draw_band, gapped, line, say
from advtrain.report.figures.marks import (
    BAD,
    BEST,
    CHANCE,
    LAST,
    ORACLE,
    START,
    Curve,
    bad_epochs,
    drawn_curves,
    epochs,
    judged_epochs,
    marks,
    say_above,
    segments,
    span,
    windows,
)
from advtrain.report.figures.shapes import in_words
from advtrain.report.figures.style import COLOURS, SMALL, figure
from advtrain.report.figures.ticks import (
    Range,
    from_zero,
    log_range,
    loss_range,
    set_y,
    share_range,
)
from advtrain.report.input.cells import Cell
from advtrain.report.input.labels import plain
from advtrain.report.numbers.over_seeds import SeedBand, band, best, best_epoch, last

_LISTED = 3  # epochs that a legend names one by one
Reference = tuple[str, NDArray[np.int64], Mapping[str, Floats]]  # name, epochs, columns


@figure
def curves(cell: Cell, reference: Reference | None = None) -> Figure:
    """Loss (nats) on the left, accuracy (%) on the right; robust, clean, and lr and eps below.

    `reference` is a named table of epochs and columns drawn beside the cell's own.
    """
    keys = [_keys(cell, what, reference) for what in ("loss", "acc")]
    heads = [flow(lines, HALF - 0.2) for lines in keys]
    made, rows = sheet((2.5, 1.7, 0.62), head_height(*heads))
    draw_head(made, (cell.label, in_words(cell)), (heads[0], heads[1]))
    titles = {"loss": "loss, nats", "acc": "accuracy, %"}
    for kind, pair in zip(("robust", "clean"), rows, strict=False):
        for axes, what in zip(pair, titles, strict=True):
            drawn = _panel(axes, cell, kind, what, reference)
            log = drawn is not None and drawn.log
            axes.set_title(f"{kind} {titles[what]}{' (log)' if log else ''}")
    strips = {"lr": "learning rate (log)", "eps": "eps of training"}
    for axes, (column, title) in zip(rows[2], strips.items(), strict=True):
        axes.set_title(title)
        _strip(axes, cell, column)
    epochs(cell, rows, reference[1] if reference else None)
    return made


def _panel(axes: Axes, cell: Cell, kind: str, what: str, reference: Reference | None
           ) -> Range | None:  # fmt: skip
    """One panel's curves and what is marked on them; None if there are none."""
    table = cell.lead.result.table
    names = [f"{split}_{kind}_{what}" for split in SPLITS]
    drawn = {name: found for name, split in zip(names, SPLITS, strict=True)
             if (found := draw_band(axes, cell.entries, name, LINES[split]))}  # fmt: skip
    others = _draw_reference(axes, reference, names) if table is not None else []
    if table is None or not (drawn or others):
        say(axes, "not measured" if table is not None else "no epochs")
        return None
    lines = drawn_curves(cell.entries, drawn) + others
    axes.set_label(",".join(drawn))
    values = [column for _, column in lines]
    chance = _chance(table, what)
    if what == "acc":
        shown = share_range(values, (chance or 0) * 1.2)
    else:
        shown = loss_range(values, chance)
    set_y(axes, shown, percent=what == "acc", most=5 if kind == "robust" else 4)
    if chance is not None and shown.low < chance < shown.high:
        axes.axhline(chance, zorder=1.5, label="chance", **CHANCE)
    windows(axes, cell, kind, what)
    if shown.above:
        say_above(axes, lines)
    if what == "acc" and kind == _marked_kind(cell):
        marks(axes, cell.entries, f"test_{kind}_acc")
    return shown


def _strip(axes: Axes, cell: Cell, column: str) -> None:
    """The schedule of lr (log) or eps, to the last epoch that a seed reached."""
    found = band(cell.entries, column)
    if found is None:
        say(axes, "not measured" if cell.lead.result.table is not None else "no epochs")
        return
    log = column == "lr" and bool((found.mean > 0).any())
    shown = np.where(found.mean > 0, found.mean, np.nan) if log else found.mean
    line(axes, *gapped(found.epoch, shown), color=COLOURS["ink"], linewidth=1.5, label=column,
         drawstyle="steps-mid")  # fmt: skip
    axes.set_label(column)
    set_y(axes, log_range(shown) if log else from_zero(shown), most=3)
    segments(axes, cell)


def _draw_reference(axes: Axes, reference: Reference | None, names: Sequence[str]) -> list[Curve]:
    """The reference's curves of the same columns, dashed and grey."""
    if reference is None:
        return []
    _, epoch, columns = reference
    drawn: list[Curve] = []
    for name in names:
        values = columns.get(name)
        if values is not None and np.isfinite(values).any():
            thick = 1.8 if name.startswith("test") else 1.0
            line(axes, *gapped(epoch, values), color=COLOURS["reference"], label=f"ref {name}",
                 linestyle=(0, (4, 2)), linewidth=thick, zorder=1.8)  # fmt: skip
            drawn.append((epoch, values))
    return drawn


def _keys(cell: Cell, what: str, reference: Reference | None) -> list[Key]:
    """The legend of a half: what is drawn in it, and nothing else."""
    table, kinds = cell.lead.result.table, ("robust", "clean")
    drawn: list[SeedBand] = []
    keys = []
    for split in SPLITS:
        found = [b for kind in kinds if (b := band(cell.entries, f"{split}_{kind}_{what}"))]
        drawn += found
        if found:
            keys.append(Key(split, LINES[split]))
    if reference:
        name = fit(plain(reference[0]), 2.2, SMALL)
        keys.append(Key(name, {"color": COLOURS["reference"], "linestyle": (0, (4, 2)),
                               "linewidth": 1.8}))  # fmt: skip
    if table is None or not keys:
        return keys
    keys += band_key(drawn)
    chance = _chance(table, what)
    if chance is not None:
        said = f"chance {100 * chance:.3g}%" if what == "acc" else f"chance {chance:.3g}"
        keys.append(Key(said, CHANCE))
    column = f"test_{_marked_kind(cell)}_acc"
    if what == "acc":
        if any(best(e, column) is not None for e in cell.entries):
            keys.append(Key("best on validation", BEST))
        if any(last(e, column) is not None for e in cell.entries):
            keys += [Key("last", LAST), Key("oracle (test peak)", ORACLE)]
    return keys + _window_keys(cell, table, what)


def _window_keys(cell: Cell, table: Table, what: str) -> list[Key]:
    """The epochs that were judged, segments, and where it was no longer finite."""
    keys, bad = [], bad_epochs(cell)
    if judged_epochs(cell, "held_out"):
        keys.append(Key(f"judged epochs, {split_of(table)}", fill=COLOURS["window"]))
    if what == "loss" and judged_epochs(cell, "train"):
        keys.append(Key("judged epochs, train", fill=COLOURS["train"]))
    if len(phases(table).starts) > 1:
        keys.append(Key("new segment", START))
    if bad and what == "loss":
        listed = ", ".join(map(str, bad)) if len(bad) <= _LISTED else f"{bad[0]} to {bad[-1]}"
        keys.append(Key(f"not finite, {'epoch' if len(bad) == 1 else 'epochs'} {listed}", BAD))
    return keys


def _chance(table: Table, what: str) -> float | None:
    """What guessing gives, if the classes are known."""
    if table.labels is None:
        return None
    return table.labels.majority if what == "acc" else table.labels.entropy


def _marked_kind(cell: Cell) -> str:
    """The accuracy whose best and last epochs are marked: the robust one where it is known."""
    return "robust" if band(cell.entries, "test_robust_acc") else "clean"


def curves_alt(cell: Cell, reference: Reference | None = None) -> str:
    """The curves in words."""
    table = cell.lead.result.table
    shown = span(cell)
    if table is None or shown is None:
        return f"Curves of {cell.label}: no epochs yet."
    first, end = shown
    n = sum(e.result.table is not None for e in cell.entries)
    parts = [f"Curves of {cell.label} over {end - first + 1:.0f} epochs, "
             f"{n} {'seed' if n == 1 else 'seeds'}: {in_words(cell)}."]  # fmt: skip
    for column, unit in ((f"test_{_marked_kind(cell)}_acc", "%"), ("train_robust_loss", " nats"),
                         ("test_robust_loss", " nats"), ("test_clean_acc", "%")):  # fmt: skip
        found = band(cell.entries, column)
        if found is not None:
            factor = 100 if unit == "%" else 1
            start, stop = (f"{factor * found.mean[i]:.3g}{unit}" for i in (0, -1))
            parts.append(f"{_said(column)} {start} at first, {stop} at last.")
    chosen = [(best_epoch(e), best(e, f"test_{_marked_kind(cell)}_acc")) for e in cell.entries]
    known = [f"{100 * v:.3g}% in epoch {epoch}" for epoch, v in chosen if epoch and v is not None]
    if known:
        parts.append(f"Best on validation: {'; '.join(known)}.")
    chance = _chance(table, "acc")
    if chance is not None:
        parts.append(f"Chance is {100 * chance:.3g}%.")
    if held_out := judged_epochs(cell, "held_out"):
        listed = ", ".join(f"{start} to {stop}" for start, stop in held_out)
        parts.append(f"The held-out verdict rests on epochs {listed}.")
    if reference:
        parts.append(f"Beside it the reference {plain(reference[0])}.")
    return " ".join(parts)


def _said(column: str) -> str:
    """A column's name as words that begin a sentence."""
    split, kind, what = column.split("_")
    return f"{split.capitalize()} {kind} {'accuracy' if what == 'acc' else 'loss'}"
