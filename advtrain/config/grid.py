"""A sweep's grid: `KEY=V1,V2` arguments and a file's `sweep:` block to axes of values.

The product of the axes is the grid; the keys of one `zip` move together on one axis. `seeds` are
no axis: every cell of the grid has them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from advtrain.config import yaml_tree
from advtrain.config.load import Merged
from advtrain.config.overrides import parse_override, resolve_key
from advtrain.config.values import Value, canonical, parse_seeds, spelled_out, split, typed, written
from advtrain.errors import ConfigError

Keys = tuple[str, ...]  # a dotted path, split
_FIXED = (("seed",), ("name",), ("dataset", "root"))  # what tells no cells apart
# Columns of sweep.csv and cells.csv; a swept key of that name is written in full.
RESERVED = {"seed", "seeds", "epochs", "state", "seconds", "error", "low", "high"}


@dataclass(frozen=True)
class GridAxis:
    """Keys that move together (nearly always one), and their values at each position."""

    keys: tuple[Keys, ...]
    points: tuple[tuple[Value, ...], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The keys as one types them."""
        return tuple(short_key(key) for key in self.keys)

    def label(self, point: tuple[Value, ...]) -> str:
        """A position in a few characters."""
        return "/".join(value.text for value in point)


@dataclass(frozen=True)
class Grid:
    """Axes, arguments that set one value everywhere, and the seeds, if any were given."""

    axes: tuple[GridAxis, ...]
    overrides: tuple[str, ...]
    seeds: tuple[int, ...] | None

    def cells(self) -> Iterator[tuple[tuple[Value, ...], ...]]:
        """Every combination: a point of each axis."""
        return product(*(axis.points for axis in self.axes))


def read_grid(merged: Merged, arguments: Sequence[str], seeds: str | None) -> Grid:
    """The grid of the file's `sweep:` block, over which arguments and `--seeds` go.

    The block is taken out of `merged`. Raises ConfigError with all problems at once.
    """
    problems: list[str] = []
    block = merged.values.pop("sweep", None)
    axes, chosen = _of_block(block, merged.places, problems) if ("sweep",) in merged.places else (
        [], None)  # fmt: skip
    own, overrides = _of_arguments(arguments, problems)
    if seeds is not None:
        chosen = parse_seeds(seeds, f"argument '--seeds {seeds}'", problems)
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    given = {axis.keys[0]: axis.points[0][0].place for axis in own}
    given |= {_keys(a.partition("=")[0]): f"argument '{a}'" for a in overrides}
    if place := given.get(("seed",)):
        chosen = None  # instead of the file's
        if seeds is not None:
            problems.append(f"{place}: the seeds are given by --seeds, too; leave one out")
    axes = _not_replaced(axes, given, problems)
    _check_once([*axes, *own], problems)
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))
    return Grid((*axes, *own), tuple(overrides), chosen)


def short_key(keys: Keys) -> str:
    """The leaf alone where it suffices and names no column of the tables."""
    leaf = keys[-1]
    try:
        if leaf not in RESERVED and resolve_key(leaf) == ".".join(keys):
            return leaf
    except ValueError:
        pass
    return ".".join(keys)


def _of_arguments(
    arguments: Sequence[str], problems: list[str]
) -> tuple[list[GridAxis], list[str]]:
    """Axes of those with several values; the others as they are."""
    axes: list[GridAxis] = []
    single: list[str] = []
    seen: set[Keys] = set()
    for argument in arguments:
        place = f"argument '{argument}'"
        key, equals, text = argument.partition("=")
        pieces = split(text)
        several = len(pieces) > 1 or text.lstrip().startswith("logspace(")
        if several and equals and key.strip():
            keys = _sweepable(key.strip(), place, problems)
        else:
            try:
                keys = parse_override(argument)[0]
            except ValueError as error:
                problems.append(f"{place}: {error}")
                continue
        if keys is None:
            continue
        if keys in seen:
            problems.append(f"{place}: {'.'.join(keys)} is given twice")
        elif not several:
            single.append(argument)
        elif _fixed(keys):
            hint = f"; write --seeds {text}" if keys == ("seed",) else ""
            problems.append(f"{place}: {'.'.join(keys)} cannot be swept{hint}")
        else:
            values = spelled_out(
                [typed(piece, place, problems) for piece in pieces], ".".join(keys), problems
            )
            axes.append(GridAxis((keys,), tuple((value,) for value in values)))
        seen.add(keys)
    return axes, single


def _of_block(
    block: Any, places: Mapping[yaml_tree.Path, str], problems: list[str]
) -> tuple[list[GridAxis], tuple[int, ...] | None]:
    """The axes and seeds of a file's `sweep:` block."""
    place = places["sweep",]
    if not isinstance(block, dict):
        problems.append(f"{place}: sweep: expected a mapping of keys to lists of values")
        return [], None
    axes, seeds = [], None
    for key, found in block.items():
        here = places.get(("sweep", key), place)
        if key == "seeds":
            listed = isinstance(found, list)
            text = ",".join(map(str, found)) if listed else str(found)
            seeds = parse_seeds(text, f"{here}: sweep.seeds", problems)
        elif key == "zip":
            groups = list(enumerate(found)) if isinstance(found, list) else [(None, found)]
            for i, group in groups:
                path = ("sweep", "zip") if i is None else ("sweep", "zip", i)
                axes += _zipped(group, path, places, here, problems)
        elif values := _listed(key, found, ("sweep", key), places, here, problems):
            axes.append(GridAxis((values[0],), tuple((value,) for value in values[1])))
    return axes, seeds


def _zipped(
    group: Any, path: yaml_tree.Path, places: Mapping[yaml_tree.Path, str], place: str,
    problems: list[str],
) -> list[GridAxis]:  # fmt: skip
    """One axis of the keys whose lists move together."""
    place = places.get(path, place)
    if not isinstance(group, dict) or len(group) < 2:
        problems.append(f"{place}: sweep.zip: expected a mapping of several keys to lists")
        return []
    columns = []
    for key, found in group.items():
        here = places.get((*path, key), place)
        columns.append(_listed(key, found, (*path, key), places, here, problems, distinct=False))
    known = [column for column in columns if column]
    lengths = {len(values) for _, values in known}
    if len(lengths) > 1:
        sizes = ", ".join(f"{'.'.join(keys)} has {len(values)}" for keys, values in known)
        problems.append(f"{place}: sweep.zip: lists that move together have one length; {sizes}")
    if len(lengths) != 1 or len(known) < len(group):
        return []
    points = list(zip(*(values for _, values in known), strict=True))
    seen: set[str] = set()
    for point in points:
        if canonical(point) in seen:
            shown = ", ".join(value.text for value in point)
            problems.append(f"{point[0].place}: sweep.zip: {shown} stands there twice")
        seen.add(canonical(point))
    return [GridAxis(tuple(keys for keys, _ in known), tuple(points))]


def _listed(
    key: str, found: Any, path: yaml_tree.Path, places: Mapping[yaml_tree.Path, str], place: str,
    problems: list[str], distinct: bool = True,
) -> tuple[Keys, list[Value]] | None:  # fmt: skip
    """A key of the block with its values, or None after a problem."""
    before = len(problems)
    keys = _sweepable(key, place, problems)
    if keys and _fixed(keys):
        hint = "; write seeds: [0, 1, 2]" if keys == ("seed",) else ""
        problems.append(f"{place}: sweep.{key}: cannot be swept{hint}")
    if keys is None:
        return None
    if isinstance(found, str) and found.startswith("logspace("):
        raw = [Value(found, found, place)]
    elif isinstance(found, list) and found:
        raw = [
            Value(written(item), item, places.get((*path, i), place))
            for i, item in enumerate(found)
        ]
    else:
        what = "an empty list" if found == [] else "no list"
        problems.append(
            f"{place}: sweep.{key}: {what}; expected values such as [0.1, 0.2] or "
            "logspace(1e-3, 1, 7)"
        )
        return None
    values = spelled_out(raw, ".".join(keys), problems, distinct)
    return (keys, values) if len(problems) == before else None


def _fixed(keys: Keys) -> bool:
    """Whether the key makes no other run."""
    return keys in _FIXED or keys[0] == "slurm"


def _sweepable(key: str, place: str, problems: list[str]) -> Keys | None:
    """The path of a key, or None after a problem."""
    try:
        return tuple(resolve_key(key).split("."))
    except ValueError as error:
        problems.append(f"{place}: {error}")
        return None


def _keys(key: str) -> Keys:
    return tuple(resolve_key(key.strip()).split("."))


def _not_replaced(
    axes: list[GridAxis], given: Mapping[Keys, str], problems: list[str]
) -> list[GridAxis]:
    """The block's axes whose keys no argument gives; a zip is replaced whole or not at all."""
    kept = []
    for axis in axes:
        replaced = [key for key in axis.keys if key in given]
        if not replaced:
            kept.append(axis)
        elif len(replaced) < len(axis.keys):
            others = " and ".join(".".join(k) for k in axis.keys if k not in given)
            key = ".".join(replaced[0])
            problems.append(
                f"{given[replaced[0]]}: {key} moves together with {others} in the file's zip; "
                "give all of them or none"
            )
    return kept


def _check_once(axes: Sequence[GridAxis], problems: list[str]) -> None:
    """No key on two axes."""
    seen: set[Keys] = set()
    for axis in axes:
        for i, key in enumerate(axis.keys):
            if key in seen:
                problems.append(f"{axis.points[0][i].place}: {'.'.join(key)} is swept twice")
            seen.add(key)
