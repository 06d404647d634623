"""Entries to cells, what tells the cells apart, and the maps on which they stand."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product

from advtrain.config.expressions import number
from advtrain.config.grid import short_key
from advtrain.report.input.choices import folded, spelled_out
from advtrain.report.input.gather import CSV_STATE, Entry, Side
from advtrain.report.input.labels import (
    MISSING,
    by_difference,
    own_name,
    plain,
    short_values,
    told_apart,
    typed_key,
)


@dataclass(frozen=True)
class MapAxis:
    """Config keys that move together; the first of them names the axis."""

    keys: tuple[str, ...]  # as one types them
    labels: tuple[str, ...]  # positions, numbers by size

    @property
    def name(self) -> str:
        """The key that stands for all."""
        return self.keys[0]

    @property
    def shown(self) -> dict[str, str]:
        """Each position as names and maps tell it: in few characters."""
        return short_values(self.labels)


@dataclass(frozen=True)
class Cell:
    """The runs of one side that differ by their seed alone, or one CSV.

    `label` tells what differs, `at` its position on each axis, by name; `id` is unique and safe as
    a file's name.
    """

    id: str
    label: str
    side: int
    entries: tuple[Entry, ...]
    at: Mapping[str, str] = field(default_factory=dict)

    @property
    def lead(self) -> Entry:
        """The entry that stands for all where one has to: the first of those that got furthest."""
        return max(self.entries, key=_last_epoch)


def _last_epoch(entry: Entry) -> int:
    """0 without epochs."""
    table = entry.result.table
    return int(table.epoch[-1]) if table is not None and len(table) else 0


@dataclass(frozen=True)
class Map:
    """Cells of one side over two axes, or one; `heading` says where the other axes stand."""

    side: int
    heading: str
    rows: MapAxis | None
    columns: MapAxis
    cells: tuple[tuple[Cell | None, ...], ...]  # by row and column


def cells_of(sides: Sequence[Side]) -> tuple[list[MapAxis], list[Cell]]:
    """The axes, and every side's cells in the order of their positions."""
    groups = [group for i, side in enumerate(sides) for group in _grouped(i, side.entries)]
    told = folded([entries[0].values for _, entries in groups])
    leads = [replace(entries[0], values=values)
             for (_, entries), values in zip(groups, told, strict=True)]  # fmt: skip
    axes = _axes([(side, lead) for (side, _), lead in zip(groups, leads, strict=True)])
    order = {axis.name: {label: i for i, label in enumerate(axis.labels)} for axis in axes}
    places = [{axis.name: label for axis in axes if (label := _position(axis, lead))}
              for lead in leads]  # fmt: skip
    made = [Cell("", label, side, tuple(entries), at) for (side, entries), label, at
            in zip(groups, _labels(axes, groups, leads, places), places, strict=True)]  # fmt: skip
    made.sort(key=lambda cell: (cell.side, *(order[a.name].get(cell.at.get(a.name, ""), -1)
                                             for a in axes)))  # fmt: skip
    taken: set[str] = set()
    return axes, [_with_id(cell, len(sides) > 1, taken) for cell in made]


def _labels(
    axes: Sequence[MapAxis], groups: Sequence[tuple[int, list[Entry]]], leads: Sequence[Entry],
    places: Sequence[Mapping[str, str]],
) -> list[str]:  # fmt: skip
    """What each cell is called: its place, else what differs from the others, else its own name."""
    shown = {axis.name: axis.shown for axis in axes}
    alone = [i for i, at in enumerate(places) if not at and leads[i].config is not None]
    told = dict(zip(alone, by_difference([leads[i].values for i in alone]), strict=True))
    found = []
    for i, (at, lead) in enumerate(zip(places, leads, strict=True)):
        place = ", ".join(f"{key} {shown[key].get(value, value)}" for key, value in at.items())
        found.append(plain(place or told.get(i, "") or own_name(lead)))
    sides = [side for side, _ in groups]
    pair = sorted(sides) == [0, 1]  # then nothing else tells the two apart
    for side in {0} if pair else {*sides}:
        own = [i for i, of in enumerate(sides) if pair or of == side]
        names = told_apart([found[i] for i in own], [leads[i] for i in own])
        for i, name in zip(own, names, strict=True):
            found[i] = plain(name)
    return found


def maps_of(axes: Sequence[MapAxis], cells: Sequence[Cell]) -> list[Map]:
    """One map of a side's first two axes, eps down and lr across, per point of the others."""
    found = []
    for side in sorted({cell.side for cell in cells}):
        own = [cell for cell in cells if cell.side == side and cell.at]
        several = [axis for axis in axes if len({cell.at.get(axis.name) for cell in own}) > 1]
        if not several:
            continue
        shown = sorted(several, key=lambda a: {"eps": 0, "lr": 1}.get(a.name, 2))[:2]
        columns, rows = shown[-1], shown[0] if len(shown) > 1 else None
        others = [axis for axis in several if axis not in shown]
        for fixed in product(*(axis.labels for axis in others)):
            at = {axis.name: label for axis, label in zip(others, fixed, strict=True)}
            here = [c for c in own if all(c.at.get(name) == v for name, v in at.items())]
            if here:
                heading = ", ".join(f"{axis.name} {axis.shown[label]}" for axis, label
                                    in zip(others, fixed, strict=True))  # fmt: skip
                found.append(_map(side, heading, rows, columns, here))
    return found


def _map(
    side: int, heading: str, rows: MapAxis | None, columns: MapAxis, cells: Sequence[Cell]
) -> Map:
    def used(axis: MapAxis) -> MapAxis:
        there = {cell.at.get(axis.name) for cell in cells}
        return MapAxis(axis.keys, tuple(label for label in axis.labels if label in there))

    columns, rows = used(columns), used(rows) if rows else None
    place = {(c.at.get(rows.name) if rows else "", c.at.get(columns.name)): c for c in cells}
    grid = tuple(
        tuple(place.get((row, column)) for column in columns.labels)
        for row in (rows.labels if rows else ("",))
    )
    return Map(side, heading, rows, columns, grid)


def _grouped(side: int, entries: Iterable[Entry]) -> list[tuple[int, list[Entry]]]:
    """The entries of each cell; a run that has not begun joins the cell whose keys it shares."""
    groups: dict[Hashable, list[Entry]] = {}
    waiting = []
    for entry in entries:
        if entry.state == CSV_STATE or not entry.values:
            groups[entry.path] = [entry]
        elif entry.config is None:
            waiting.append(replace(entry, values=spelled_out(entry.values)))
        else:
            carried = entry.result.table.carried if entry.result.table else 0
            key = (entry.config.name, carried, *sorted(entry.values.items()))
            groups.setdefault(key, []).append(entry)
    for entry in waiting:
        same = (g for g in groups.values() if g[0].config is not None and _shares(g[0], entry))
        group = next(same, None)
        if group is None:
            swept = tuple(sorted((k, _canonical(v)) for k, v in entry.values.items()))
            group = groups.setdefault(swept, [])
        group.append(entry)
    for group in groups.values():
        group.sort(key=lambda e: (e.config is None, -1 if e.seed is None else e.seed))
    return [(side, group) for group in groups.values()]


def _shares(known: Entry, waiting: Entry) -> bool:
    typed = {short_key(tuple(key.split("."))): value for key, value in known.values.items()}
    return all(_canonical(typed.get(k, known.values.get(k, MISSING))) == _canonical(v)
               for k, v in waiting.values.items())  # fmt: skip


def _canonical(text: str) -> str | float:
    """Equal for numbers that differ in spelling only."""
    try:
        return number(text)
    except ValueError:
        return text


def _axes(groups: Sequence[tuple[int, Entry]]) -> list[MapAxis]:
    """The keys that vary within a side, those that move in step together on one axis."""
    configured = [(side, entry) for side, entry in groups if entry.config is not None]
    keys = dict.fromkeys(key for _, entry in configured for key in entry.values)
    columns = {
        key: tuple(entry.values.get(key, MISSING) for _, entry in configured) for key in keys
    }
    varying = [key for key in keys if _varies(columns[key], [side for side, _ in configured])]
    together: dict[Hashable, list[str]] = {}
    for key in varying:
        codes: dict[str, int] = {}  # equal for columns that split the groups alike
        split = tuple(codes.setdefault(value, len(codes)) for value in columns[key])
        together.setdefault(split, []).append(key)
    axes = []
    for alike in together.values():
        alike.sort(key=lambda key: not key.endswith(".name"))  # a choice stands for its keys
        labels = dict.fromkeys(columns[alike[0]])
        axes.append(MapAxis(tuple(typed_key(key) for key in alike), _sorted(labels)))
    return axes if configured else _awaited([e.values for _, e in groups if e.values])


def _awaited(rows: Sequence[Mapping[str, str]]) -> list[MapAxis]:
    """The axes where nothing has begun: what the sweep's table says."""
    axes = []
    for key in dict.fromkeys(key for row in rows for key in row):
        labels: dict[str | float, str] = {}  # each in its first spelling
        for row in rows:
            labels.setdefault(_canonical(row.get(key, MISSING)), row.get(key, MISSING))
        if len(labels) > 1 or not key.startswith("objective."):
            axes.append(MapAxis((typed_key(key),), _sorted(labels.values())))
    return axes


def _varies(column: Sequence[str], sides: Sequence[int]) -> bool:
    found: dict[int, set[str]] = {}
    for value, side in zip(column, sides, strict=True):
        found.setdefault(side, set()).add(value)
    return any(len(values) > 1 for values in found.values())


def _position(axis: MapAxis, entry: Entry) -> str | None:
    """Where an entry stands on an axis, in the axis's spelling."""
    typed: dict[str, str] = {}
    for key, value in entry.values.items():
        typed[typed_key(key)] = value
    found = typed.get(axis.name, MISSING if entry.config is not None else None)
    if found is None:
        return None
    same = (label for label in axis.labels if _canonical(label) == _canonical(found))
    return next(same, found)


def _sorted(labels: Iterable[str]) -> tuple[str, ...]:
    """Numbers by size; anything else as it came."""
    found = list(labels)
    try:
        return tuple(sorted(found, key=number))
    except ValueError:
        return tuple(found)


def _with_id(cell: Cell, several_sides: bool, taken: set[str]) -> Cell:
    """The cell with an id made of its label."""
    text = re.sub(r"[^A-Za-z0-9.]+", "-", cell.label).strip("-.")[:60].lower() or "cell"
    stem = f"{'ab'[cell.side] if cell.side < 2 else cell.side}-{text}" if several_sides else text
    unique, count = stem, 1
    while unique in taken:
        count += 1
        unique = f"{stem}-{count}"
    taken.add(unique)
    return Cell(unique, cell.label, cell.side, cell.entries, cell.at)
