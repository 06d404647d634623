"""Convergence at a glance: cells over eps and lr by their verdicts, and by robust accuracy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon
from matplotlib.ticker import FixedLocator

from advtrain.report.figures.brackets import Bands, brackets, draw_bracket
from advtrain.report.figures.grids import CellGrid, grid
from advtrain.report.figures.layout import LINE, Key, draw_keys, fit, flow, text_width, write
from advtrain.report.figures.shapes import counted, fill, ink, shape
from advtrain.report.figures.style import COLOURS, SMALL, figure
from advtrain.report.input.cells import Cell, Map
from advtrain.report.numbers.outcome import OUTCOMES, of_cell, of_entry
from advtrain.report.numbers.over_seeds import FEW, Summary

_WIDE, _NARROW, _TALL = 1.05, 0.62, 0.66  # a cell in inches: where there is room, and where not
_NUMBERED = 0.8  # at least, where two numbers of seeds stand beside each other
_ROOMY = 9  # columns up to which there is
_SHAPES = 8  # seeds up to which each has its own
_COLOUR_MAP = "cividis"


@figure
def verdict_map(map: Map, bands: Bands = ()) -> Figure:
    """Each cell's outcome as colour, a shape for each seed, and how many of them converge.

    `bands` are rows of a sweep's bands.csv, drawn as brackets around the values that converge.
    """
    cells = [cell for row in map.cells for cell in row if cell is not None]
    wide = _WIDE if len(map.columns.labels) <= _ROOMY else _NARROW
    if any(len(cell.entries) > _SHAPES for cell in cells):
        wide = max(wide, _NUMBERED)
    found = brackets(map, bands)
    keys = _keys(cells, map, bool(found))
    made = grid(map, "Verdicts: does it converge?", wide, _TALL,
                lambda width: 0.3 + LINE * len(flow(keys, width - 0.3)))  # fmt: skip
    for x, y, cell in made:
        made.patch(x, y, cell, fill(of_cell(cell)))
        _corner(made, x, y, cell)
        write(made.figure, x + wide / 2, y + 0.16, _converged(cell), SMALL, ha="center", zorder=3)
    _shapes(made)
    for bracket in found:
        draw_bracket(made, bracket)
    below = made.top - len(map.cells) * made.tall - 0.14
    width = float(made.figure.get_size_inches()[0])
    draw_keys(made.figure, flow(keys, width - 0.3), 0.14, below)
    return made.figure


def _converged(cell: Cell) -> str:
    runs = len(cell.entries)
    return f"{counted(cell).get('converged', 0)}/{runs}"


def _shapes(made: CellGrid) -> None:
    """All shapes of one outcome as one artist."""
    places: dict[str, list[tuple[float, float]]] = {name: [] for name in OUTCOMES}
    for x, y, cell in made:
        found = counted(cell)
        each = [of_entry(entry) for entry in cell.entries]
        middle = y + made.tall - 0.24
        if len(each) <= _SHAPES:
            lines = [each] if len(each) <= 4 else [each[:4], each[4:]]
            step = min(0.2, (made.wide - 0.1) / 4)
            for k, line in enumerate(lines):
                up = middle + (0.07 - 0.15 * k if len(lines) > 1 else 0.0)
                for i, name in enumerate(line):
                    right = x + made.wide / 2 + (i - (len(line) - 1) / 2) * step
                    places[name].append((right, up))
            continue
        _numbered(made, x + made.wide / 2, middle, found, places)
    for name, at in places.items():
        if at:
            xs, ys = zip(*at, strict=True)
            made.figure.add_artist(Line2D(xs, ys, transform=made.figure.dpi_scale_trans, zorder=3,
                                          label=name, **shape(name)))  # fmt: skip


def _numbered(
    made: CellGrid, x: float, y: float, found: Mapping[str, int],
    places: dict[str, list[tuple[float, float]]],
) -> None:  # fmt: skip
    """Each outcome once, with its number, two beside each other."""
    pairs = list(found.items())
    for k in range(0, len(pairs), 2):
        line = pairs[k : k + 2]
        widths = [0.16 + text_width(str(count), SMALL - 1) for _, count in line]
        at = x - (sum(widths) + 0.06 * (len(line) - 1)) / 2
        up = y + (0.07 - 0.075 * k if len(pairs) > 2 else 0.0)
        for (name, count), width in zip(line, widths, strict=True):
            places[name].append((at + 0.06, up))
            write(made.figure, at + 0.15, up, str(count), SMALL - 1, zorder=3)
            at += width + 0.06


def _corner(made: CellGrid, x: float, y: float, cell: Cell) -> None:
    """A folded corner where seeds disagree or one failed."""
    found = counted(cell)
    name = "failed" if "failed" in found else of_cell(cell)
    if name == "disagree" or (name == "failed" and len(found) > 1):
        right, top, size = x + made.wide - 0.0175, y + made.tall - 0.0175, 0.14
        corner = [(right - size, top), (right, top), (right, top - size)]
        made.figure.add_artist(Polygon(corner, transform=made.figure.dpi_scale_trans, zorder=2,
                                       facecolor=ink(name), linewidth=0))  # fmt: skip


def _keys(cells: Sequence[Cell], map: Map, band: bool) -> list[Key]:
    """What the colours and shapes say, with the number of cells."""
    found = Counter(of_cell(cell) for cell in cells)
    seeds = {name for cell in cells for name in counted(cell)}
    keys = [
        Key(f"{OUTCOMES[name][2]}: {found[name]}", shape(name), fill(name))
        for name in OUTCOMES if found[name]
    ] + [
        Key(f"one seed: {OUTCOMES[name][1]}", shape(name))
        for name in OUTCOMES if name in seeds and not found[name]
    ]  # fmt: skip
    if band:
        line = {"color": COLOURS["ink"], "linewidth": 2.0}
        keys.append(Key(f"where {map.columns.name} converges", line))
    return keys


def verdict_map_alt(map: Map, bands: Bands = ()) -> str:
    """The map in words, row by row."""
    said = []
    for i, row in enumerate(map.cells):
        name = f"{map.rows.name} {map.rows.labels[i]}: " if map.rows else ""
        cells = [f"{label} {_converged(cell)}{_unlike(cell)}"
                 for label, cell in zip(map.columns.labels, row, strict=True) if cell]  # fmt: skip
        said.append(name + ", ".join(cells))
    over = f"{map.rows.name} (down) and " if map.rows else ""
    texts = [row["text"] for row in bands if row.get("text")]
    return (f"Map of verdicts over {over}{map.columns.name} (across)"
            f"{', ' + map.heading if map.heading else ''}; seeds that converge of all: "
            f"{'; '.join(said)}. {'. '.join(texts)}").strip()  # fmt: skip


def _unlike(cell: Cell) -> str:
    name = of_cell(cell)
    return "" if name in ("converged", "not_converged") else f" ({OUTCOMES[name][2]})"


@figure
def accuracy_map(map: Map, value: Mapping[str, Summary], title: str = "") -> Figure:
    """Mean accuracy over each cell's seeds as colour and number, with its spread and n.

    `value` is a summary of fractions by cell id; the colours go from 0 to 100%. Without a title
    they are said to be of the last epoch, under the evaluation's attack.
    """
    found = {id: one for id, one in value.items() if one.mean is not None}
    texts = {id: _figures(one) for id, one in found.items()}
    widest = max((text_width(text, SMALL) for lines in texts.values() for text in lines), default=0)
    wide = max(widest + 0.14, _NARROW if len(map.columns.labels) > _ROOMY else 0.9)
    made = grid(map, title or _of_last(map), wide, _TALL, lambda _: 0.95)
    for x, y, cell in made:
        mean = found[cell.id].mean if cell.id in found else None
        if mean is None:
            made.patch(x, y, cell, COLOURS["waiting_fill"])
            write(
                made.figure, x + wide / 2, y + _TALL / 2, "–", SMALL, "muted", ha="center", zorder=3
            )
            continue
        background = to_hex(colormaps[_COLOUR_MAP](min(max(mean, 0.0), 1.0)))
        made.patch(x, y, cell, background)
        lines = texts[cell.id]
        for i, text in enumerate(lines):
            at = y + _TALL / 2 + 0.17 * ((len(lines) - 1) / 2 - i)
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
    said = []
    for i, row in enumerate(map.cells):
        name = f"{map.rows.name} {map.rows.labels[i]}: " if map.rows else ""
        cells = [f"{label} {' '.join(_figures(value[cell.id])[:1]) or 'not measured'}"
                 for label, cell in zip(map.columns.labels, row, strict=True)
                 if cell and cell.id in value]  # fmt: skip
        said.append(name + ", ".join(cells))
    over = f"{map.rows.name} (down) and " if map.rows else ""
    return (f"{title or _of_last(map)}, over {over}{map.columns.name} (across)"
            f"{', ' + map.heading if map.heading else ''}: {'; '.join(said)}.")  # fmt: skip
