"""Robust accuracy at a glance: cells over eps and lr by their mean over seeds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator

from advtrain.report.figures.grids import NARROW, ROOMY, TALL, CellGrid, grid, in_rows
from advtrain.report.figures.layout import fit, text_width, write
from advtrain.report.figures.style import COLOURS, SMALL, figure
from advtrain.report.input.cells import Map
from advtrain.report.numbers.over_seeds import FEW, Summary

_COLOUR_MAP = "cividis"


@figure
def accuracy_map(map: Map, value: Mapping[str, Summary], title: str = "") -> Figure:
    """Mean accuracy over each cell's seeds as colour and number, with its spread and n.

    `value` is a summary of fractions by cell id; the colours go from 0 to 100%. Without a title
    they are said to be of the last epoch, under the evaluation's attack.
    """
    found = {id: one for id, one in value.items() if one.mean is not None}
    texts = {id: _figures(one) for id, one in found.items()}
    widest = max((text_width(text, SMALL) for lines in texts.values() for text in lines), default=0)
    wide = max(widest + 0.14, NARROW if len(map.columns.labels) > ROOMY else 0.9)
    made = grid(map, title or _of_last(map), wide, TALL, lambda _: 0.95)
    for x, y, cell in made:
        mean = found[cell.id].mean if cell.id in found else None
        if mean is None:
            made.patch(x, y, cell, COLOURS["waiting_fill"])
            write(
                made.figure, x + wide / 2, y + TALL / 2, "–", SMALL, "muted", ha="center", zorder=3
            )
            continue
        background = to_hex(colormaps[_COLOUR_MAP](min(max(mean, 0.0), 1.0)))
        made.patch(x, y, cell, background)
        lines = texts[cell.id]
        for i, text in enumerate(lines):
            at = y + TALL / 2 + 0.17 * ((len(lines) - 1) / 2 - i)
            write(made.figure, x + wide / 2, at, text, SMALL + 1 if i == 0 else SMALL,
                  _readable(background), ha="center", zorder=3)  # fmt: skip
    _colour_bar(made, _spreads(found))
    return made.figure


def _of_last(map: Map) -> str:
    """The title where the accuracies are those of the last epoch: under which attack."""
    cells = [cell for row in map.cells for cell in row if cell is not None]
    known = [entry.config for cell in cells for entry in cell.entries if entry.config is not None]
    eps = {config.attack.eps for config in known}
    steps = {max(config.attack.steps, config.evaluation.steps) for config in known}
    parts = [f"PGD-{steps.pop()}"] if len(steps) == 1 else []
    norms = " or ".join(sorted({config.attack.norm for config in known}))
    if known:
        parts.append(f"{norms} eps {eps.pop():.4g}" if len(eps) == 1 else f"{norms}, each its eps")
    return f"Robust accuracy, %: {', '.join(['last epoch', *parts])}"


def _figures(one: Summary) -> list[str]:
    """Mean, spread and number of seeds, in percent."""
    mean, least, most, sd = one.mean, one.least, one.most, one.sd
    if mean is None or least is None or most is None:
        return []
    lines = [f"{100 * mean:.1f}"]
    if one.seeds > 1:
        few = one.seeds < FEW or sd is None
        lines.append(f"{100 * least:.1f}–{100 * most:.1f}" if few else f"± {100 * (sd or 0):.1f}")
    return [*lines, f"n = {one.seeds}"]


def _shown(one: Summary | None) -> str:
    """The mean in words; empty for a cell that is not on this map."""
    return "" if one is None else " ".join(_figures(one)[:1]) or "not measured"


def _spreads(found: Mapping[str, Summary]) -> str:
    """What the second line of a cell is."""
    several = [one.seeds for one in found.values() if one.seeds > 1]
    kinds = [words for words, there in (
        ("least and most", any(n < FEW for n in several)), ("± sd", any(n >= FEW for n in several)),
    ) if there]  # fmt: skip
    return ", ".join(["mean over seeds", " or ".join(kinds), "n seeds"] if kinds else ["one seed"])


def _readable(background: str) -> str:
    """Dark or light text, whichever stands out more."""
    red, green, blue = (int(background[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
              for c in (red, green, blue)]  # fmt: skip
    luminance = float(np.dot((0.2126, 0.7152, 0.0722), linear))
    return "on_light" if luminance > 0.179 else "on_dark"


def _colour_bar(made: CellGrid, words: str) -> None:
    """The colours of 0 to 100% under the map, and what a cell's lines are."""
    width, height = (float(v) for v in made.figure.get_size_inches())
    long = min(2.6, width - 1.2)
    axes = made.figure.add_axes((0.3 / width, 0.42 / height, long / width, 0.14 / height))
    axes.imshow(np.linspace(0, 1, 64)[None], cmap=_COLOUR_MAP, aspect="auto", extent=(0, 100, 0, 1))
    axes.yaxis.set_visible(False)
    axes.xaxis.set_major_locator(FixedLocator([0, 25, 50, 75, 100]))
    text = fit(words, width - long - 0.6, SMALL) if width > 5.6 else ""
    write(made.figure, 0.3 + long + 0.2, 0.49, text or "%", SMALL, "muted")
    if not text:
        write(made.figure, 0.3, 0.72, fit(words, width - 0.5, SMALL), SMALL, "muted")


def accuracy_map_alt(map: Map, value: Mapping[str, Summary], title: str = "") -> str:
    """The map in words, row by row."""
    said = in_rows(map, lambda cell: _shown(value.get(cell.id)))
    over = f"{map.rows.name} (down) and " if map.rows else ""
    return (f"{title or _of_last(map)}, over {over}{map.columns.name} (across)"
            f"{', ' + map.heading if map.heading else ''}: {said}.")  # fmt: skip
