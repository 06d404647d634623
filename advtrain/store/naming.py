"""Where a run's directory is: found by its identity, labelled for people. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from advtrain.config.identity import identity
from advtrain.config.overrides import parse_override
from advtrain.config.schema import Config
from advtrain.store.in_place import in_place
from advtrain.store.parent import Parent, continued, read_parent

_LONGEST = 80  # characters of a label
_UNSAID = ("eps", "lr", "seed", "root", "weights")  # or said in another way
_ENDING = re.compile(r"-s[0-9]+-[0-9a-f]{8}$")


def locate(
    config: Config, runs_dir: Path, from_run: Path | None
) -> tuple[Path, Config, Parent | None]:
    """The run's directory, its config (with the parent's schedule) and the parent, if any.

    A config that was read from a run's directory is of that run, wherever it lies.
    """
    if config.origin.run is not None:
        return in_place(config, config.origin.run, runs_dir, from_run)
    parent = read_parent(from_run) if from_run is not None else None
    if parent:
        config = continued(config, parent)
    return (
        run_path(runs_dir, config, identity(config, parent.name if parent else None)),
        config,
        parent,
    )


def run_path(
    runs_dir: Path, config: Config, identity: str, known: Mapping[str, str] | None = None
) -> Path:
    """The directory of the run with this identity: the one that exists, or the one to make.

    `runs_dir/<config name>/<label>-s<seed>-<identity>`; the label shows eps, lr and what was
    overridden, but only the identity counts. `known` is the folder's `directories`, for those
    who look for many runs.
    """
    folder = runs_dir / config.name
    ending = f"-s{config.seed}-{identity}"
    name = (directories(folder) if known is None else known).get(ending)
    return folder / (name or label(config) + ending)


def directories(folder: Path) -> dict[str, str]:
    """The names of the runs' directories in a folder, by their seed and identity."""
    try:
        names = sorted((path.name for path in folder.iterdir()), reverse=True)
    except OSError:  # not there; who wants to write there will be told
        return {}
    return {match[0]: name for name in names if (match := _ENDING.search(name))}


def other_seeds(
    config: Config, folder: Path, parent: Parent | None, known: Mapping[str, str] | None = None
) -> list[Path]:
    """The runs in a folder that differ from the config's by their seed alone.

    `known` is the folder's `directories`, for those who ask for many configs.
    """
    known = directories(folder) if known is None else known
    found = []
    for seed in {int(ending.split("-")[1].removeprefix("s")) for ending in known} - {config.seed}:
        seeded = config.model_copy(update={"seed": seed})
        name = known.get(f"-s{seed}-{identity(seeded, parent.name if parent else None)}")
        found += [folder / name] if name else []
    return sorted(found)


def label(config: Config) -> str:
    """`eps0.1-lr0.05` and the other keys that the command overrode."""
    parts = [f"eps{config.attack.eps:.4g}", f"lr{config.optimizer.lr:.4g}"]
    for argument in config.origin.overrides:
        path, value = parse_override(argument)
        if path[-1] not in _UNSAID and path[0] not in ("name", "slurm"):
            parts.append(re.sub(r"[^A-Za-z0-9._]+", "_", f"{path[-1]}{_short(value)}").strip("_"))
    return "-".join(parts)[:_LONGEST].rstrip("-.")


def _short(value: Any) -> str:
    if isinstance(value, dict):  # a section: its name, then its keys
        return "".join(f"_{'' if key == 'name' else key}{_short(v)}" for key, v in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)
