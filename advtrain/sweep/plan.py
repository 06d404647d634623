"""A grid to runs: each cell's config, validated, and the directory of each of its seeds."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from advtrain.config.grid import Grid, GridAxis, read_grid
from advtrain.config.identity import identity
from advtrain.config.load import Merged, located, read_merged, resolved, set_value
from advtrain.config.overrides import parse_override
from advtrain.config.schema import Config
from advtrain.config.source_files import Sources, read_sources
from advtrain.config.values import Value
from advtrain.errors import AdvtrainError, ConfigError
from advtrain.store.naming import directories, run_path

Point = tuple[tuple[Value, ...], ...]  # for each axis, the values of its keys
_MOST = 100_000  # runs


@dataclass(frozen=True)
class Planned:
    """One run of a sweep: a point of the grid, a seed, and the directory that goes with them."""

    point: Point
    overrides: tuple[str, ...]  # what tells its cell from the others, as one types it
    seed: int
    config: Config
    path: Path

    @property
    def texts(self) -> tuple[str, ...]:
        """The values of all swept keys."""
        return tuple(value.text for values in self.point for value in values)

    @property
    def identity(self) -> str:
        """The seed and the hex digits of its directory."""
        return self.path.name.rpartition("-s")[2]

    @property
    def title(self) -> str:
        """The run in one line."""
        return " ".join([*self.overrides, f"seed={self.seed}"])


@dataclass(frozen=True)
class Study:
    """What a sweep command says: a config file, a grid over it, and where the runs go."""

    file: Path
    runs_dir: Path
    merged: Merged
    grid: Grid
    # Behind each `import:` name, as it was when the sweep first needed it: what all runs use.
    code: dict[str, Sources] = field(default_factory=dict, compare=False)

    @property
    def axes(self) -> tuple[GridAxis, ...]:
        """The grid's axes."""
        return self.grid.axes

    @property
    def keys(self) -> tuple[str, ...]:
        """All swept keys as one types them."""
        return tuple(name for axis in self.axes for name in axis.names)


def read_study(file: Path, arguments: Sequence[str], seeds: str | None, runs_dir: Path) -> Study:
    """The study of a config file and a command's arguments; ConfigError with all problems."""
    merged = read_merged(file)
    try:
        grid = read_grid(merged, arguments, seeds)
        wrong: list[str] = []
    except ConfigError as error:
        wrong = error.problems
    if wrong or merged.problems:  # what else is wrong with the file is told at once
        try:
            resolved(merged, file, ())
        except ConfigError as error:
            wrong = [*error.problems, *wrong]
        raise ConfigError(list(dict.fromkeys(wrong)))
    if not grid.axes and grid.seeds is None:
        raise AdvtrainError(
            f"{file}: nothing to sweep; give several values (lr=0.05,0.5), --seeds 0-4, or a "
            "sweep: block in the file"
        )
    return Study(file, runs_dir, merged, grid)


def plan(study: Study, points: Iterable[Point] | None = None) -> list[Planned]:
    """The runs of some points (by default the grid's), a seed after the other.

    Raises ConfigError that names every cell whose config is invalid.
    """
    everywhere = [(*parse_override(text), f"argument '{text}'", text)
                  for text in study.grid.overrides]  # fmt: skip
    seeds = study.grid.seeds
    size = math.prod(len(axis.points) for axis in study.axes) * (len(seeds) if seeds else 1)
    if size > _MOST:
        raise AdvtrainError(f"{study.file}: {size} runs are more than the {_MOST} of a sweep")
    chosen = list(study.grid.cells() if points is None else points)
    cells: list[tuple[Point, tuple[str, ...], Config]] = []
    bad: dict[str, list[str]] = {}
    for point in chosen:
        names = [f"{name}={value.text}" for axis, values in zip(study.axes, point, strict=True)
                 for name, value in zip(axis.names, values, strict=True)]  # fmt: skip
        try:
            cells.append((point, tuple(names), _config(study, point, everywhere)))
        except ConfigError as error:
            for problem in error.problems:
                bad.setdefault(problem, []).append(" ".join(names))
    found: list[Planned] = []
    known = directories(study.runs_dir / cells[0][2].name) if cells else {}
    for seed in (seeds or (cells[0][2].seed,)) if cells else ():
        for point, overrides, config in cells:
            seeded = config.model_copy(update={"seed": seed})
            try:
                with located(seeded):
                    path = run_path(study.runs_dir, seeded, identity(seeded), known)
            except ConfigError as error:  # weights that are not there
                bad.setdefault(str(error), []).append(" ".join(overrides))
                continue
            found.append(Planned(point, overrides, seed, seeded, path))
    if bad:
        raise ConfigError([_of_cells(text, names, len(chosen)) for text, names in bad.items()])
    _check_distinct(study, found)
    return found


def _config(
    study: Study, point: Point, everywhere: Sequence[tuple[tuple[str, ...], Any, str, str]]
) -> Config:
    """The config of a cell. Sections are set before keys in them, whichever came first."""
    settings = list(everywhere)
    for axis, values in zip(study.axes, point, strict=True):
        for keys, name, one in zip(axis.keys, axis.names, values, strict=True):
            settings.append((keys, one.value, one.place, f"{name}={one.text}"))
    settings.sort(key=lambda setting: len(setting[0]))
    merged = study.merged.copy()
    for keys, value, place, _ in settings:
        set_value(merged, keys, value, place)
    config = resolved(merged, study.file, [text for *_, text in settings])
    for name in config.imports.values():
        if name not in study.code:
            study.code[name] = read_sources(name)
    code = {key: study.code[name] for key, name in config.imports.items()}
    config._origin = replace(config.origin, code=code)
    return config


def _of_cells(problem: str, cells: list[str], of: int) -> str:
    """A problem with the cells that have it."""
    cells = list(dict.fromkeys(cells))
    if len(cells) == of:
        return problem if of == 1 else f"{problem} (in every cell)"
    return f"{problem} (in {'; '.join(cells)})"


def _check_distinct(study: Study, runs: Sequence[Planned]) -> None:
    """No two runs may be one experiment under two names."""
    seen: dict[str, Planned] = {}
    for run in runs:
        other = seen.setdefault(run.identity, run)
        if other is not run:
            raise ConfigError([
                f"{study.file}: {' '.join(other.overrides)} and {' '.join(run.overrides)} are one "
                "experiment: leave one out"
            ])  # fmt: skip


def sweep_directory(study: Study, runs: Sequence[Planned], refine: str | None) -> Path:
    """Where the sweep's tables are: another grid has another directory and shares the runs."""
    names = sorted(run.identity for run in runs)
    digits = hashlib.sha256(" ".join([*names, refine or ""]).encode()).hexdigest()[:8]
    return study.runs_dir / runs[0].config.name / "sweeps" / digits
