"""Convergence at a glance: cells over eps and lr by their verdicts, each seed a shape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon

from advtrain.report.figures.brackets import Bands, brackets, draw_bracket
from advtrain.report.figures.grids import NARROW, ROOMY, TALL, CellGrid, grid, in_rows
from advtrain.report.figures.layout import LINE, Key, draw_keys, fit, flow, text_width, write
from advtrain.report.figures.shapes import counted, fill, ink, shape
from advtrain.report.figures.style import COLOURS, SMALL, figure
from advtrain.report.input.cells import Cell, Map
from advtrain.report.numbers.outcome import OUTCOMES, listed, of_cell, of_entry, reasons

_WIDE = 1.05  # inches of a cell where there is room
_REASON, _TINY = 0.13, 7.5  # height of a reason in a cell, its size in points
_REASONS = 2  # that a cell names
_NUMBERED = 0.8  # at least, where two numbers of seeds stand beside each other
_SHAPES = 8  # seeds up to which each has its own


@figure
def verdict_map(map: Map, bands: Bands = ()) -> Figure:
    """Each cell's outcome as colour, a shape for each seed, how many converge, why others do not.

    `bands` are rows of a sweep's bands.csv, drawn as brackets around the values that converge.
    """
    cells = [cell for row in map.cells for cell in row if cell is not None]
    wide = _WIDE if len(map.columns.labels) <= ROOMY else NARROW
    if any(len(cell.entries) > _SHAPES for cell in cells):
        wide = max(wide, _NUMBERED)
    found = brackets(map, bands)
    keys = _keys(cells, map, bool(found))
    lines = max((len(_reasons(cell)) for cell in cells), default=0)
    made = grid(map, "Verdicts: does it converge?", wide, TALL + _REASON * lines,
                lambda width: 0.3 + LINE * len(flow(keys, width - 0.3)))  # fmt: skip
    for x, y, cell in made:
        made.patch(x, y, cell, fill(of_cell(cell)))
        _corner(made, x, y, cell)
        foot, middle = y + 0.16 + _REASON * lines, x + wide / 2
        write(made.figure, middle, foot, _converged(cell), SMALL, ha="center", zorder=3)
        for i, text in enumerate(_reasons(cell), 1):
            write(made.figure, middle, foot - 0.02 - i * _REASON, fit(text, wide - 0.06, _TINY),
                  _TINY, ha="center", zorder=3)  # fmt: skip
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


def _reasons(cell: Cell) -> list[str]:
    """Why seeds of a cell do not converge, a line each."""
    found = list(reasons(cell).items())
    said = [words if len(cell.entries) == 1 else f"{count} {words}" for words, count in found]
    if len(said) <= _REASONS:
        return said
    others = sum(count for _, count in found[_REASONS - 1 :])
    return [*said[: _REASONS - 1], f"{others} otherwise"]


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
    said = in_rows(map, lambda cell: f"{_converged(cell)}{_unlike(cell)}")
    over = f"{map.rows.name} (down) and " if map.rows else ""
    texts = [row["text"] for row in bands if row.get("text")]
    return (f"Map of verdicts over {over}{map.columns.name} (across)"
            f"{', ' + map.heading if map.heading else ''}; seeds that converge of all: "
            f"{said}. {'. '.join(texts)}").strip()  # fmt: skip


def _unlike(cell: Cell) -> str:
    name = of_cell(cell)
    said = [] if name in ("converged", "not_converged") else [OUTCOMES[name][2]]
    said += filter(None, [listed(reasons(cell))])
    return f" ({', '.join(said)})" if said else ""
