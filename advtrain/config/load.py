"""Config file + its `base` + overrides, merged and validated; every problem with its place."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from advtrain.config import yaml_tree
from advtrain.config.checks import contradictions
from advtrain.config.names import did_you_mean, make_importable
from advtrain.config.overrides import parse_override
from advtrain.config.schema import Config, Origin
from advtrain.config.validation import problems_of
from advtrain.errors import ConfigError

_LARGEST = 1_000_000  # bytes; a config beyond it is some other file


@dataclass
class _Merged:
    """Plain values with the place of each key, as `file:line:column` or an argument."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[yaml_tree.Path, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """The validated config of a YAML file with `KEY=VALUE` overrides applied.

    The folder of the file becomes importable for `import:` names. Raises ConfigError with
    all problems at once.
    """
    path = Path(path)
    folder = config_folder(path)
    make_importable(folder)
    merged = _read(path, ())
    for argument in overrides:
        _override(merged, argument)
    if not merged.values.get("name") and ("name",) not in merged.places:
        merged.values["name"] = _slug(path.stem)
    config, found = problems_of(merged.values)
    merged.problems += [_locate(merged, path, where, text) for where, text in found]
    if config is not None and not merged.problems:
        merged.problems += [
            _locate(merged, path, where, text) for where, text in contradictions(config)
        ]
    if merged.problems or config is None:
        raise ConfigError(list(dict.fromkeys(merged.problems)))
    config._origin = Origin(folder.resolve(), tuple(overrides))
    return config


def config_folder(path: Path) -> Path:
    """The folder whose modules `import:` finds: that of the config a run began with.

    A run's own config.yaml has the original's folder in the provenance.json beside it.
    """
    try:
        recorded = json.loads((path.parent / "provenance.json").read_text())["config_folder"]
        return Path(str(recorded))
    except (OSError, ValueError, KeyError, TypeError):
        return path.parent


def _read(path: Path, chain: tuple[Path, ...]) -> _Merged:
    """The file's values over those of its `base`."""
    text = _text(path)
    if isinstance(text, ConfigError):
        return _Merged(problems=text.problems)
    tree = yaml_tree.parse(text)
    places = {key: f"{path}:{line}:{column}" for key, (line, column) in tree.places.items()}
    problems = [f"{path}:{line}:{column}: {text}" for (line, column), text in tree.problems]
    if not problems and not isinstance(tree.value, dict):
        what = "empty" if tree.value is None else "not a mapping"
        problems = [f"{path}:1:1: the file is {what}; expected at least model: and dataset:"]
    own = _Merged(tree.value if isinstance(tree.value, dict) else {}, places, problems)
    base = own.values.pop("base", None)
    if ("base",) not in own.places:
        return own
    place = own.places.pop(("base",))
    target = (path.parent / base).resolve() if isinstance(base, str) else None
    if target is None:
        own.problems.append(f"{place}: base: expected the path of a config")
    elif target in (*chain, path.resolve()):
        own.problems.append(f"{place}: base: {base} leads back to itself")
    elif not target.is_file():
        own.problems.append(f"{place}: base: no file {path.parent / str(base)}")
    else:
        parent = _read(path.parent / str(base), (*chain, path.resolve()))
        _merge(parent, own.values, own.places)
        parent.problems += own.problems
        return parent
    return own


def _text(path: Path) -> str | ConfigError:
    """The file's text, or what keeps it from being read."""
    try:
        if path.stat().st_size > _LARGEST:
            return ConfigError([f"{path}:1:1: {path.stat().st_size} bytes: not a config"])
        data = path.read_bytes()
        return data.decode("utf-8")
    except FileNotFoundError:
        here = path.parent.glob("*.y*ml") if path.parent.is_dir() else []
        near = did_you_mean(path.name, [p.name for p in here], f"{path.parent}/")
        return ConfigError([f"argument '{path}': no such file{near}"])
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        return ConfigError([f"{path}:{line}:{column}: not UTF-8 text"])
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return ConfigError([f"argument '{path}': {reason}"])


def _merge(into: _Merged, values: dict[str, Any], places: dict[yaml_tree.Path, str]) -> None:
    """Mappings merge, everything else replaces; a section given as a word is replaced whole."""

    def merge(old: dict[str, Any], new: dict[str, Any], path: yaml_tree.Path) -> None:
        for key, value in new.items():
            here = (*path, key)
            if isinstance(value, dict) and isinstance(old.get(key), str) and not path:
                old[key] = {"name": old[key]}
            if isinstance(value, dict) and isinstance(old.get(key), dict):
                merge(old[key], value, here)
            else:
                old[key] = value
                for place in [p for p in into.places if p[: len(here)] == here]:
                    del into.places[place]

    merge(into.values, values, ())
    into.places.update(places)


def _override(merged: _Merged, argument: str) -> None:
    """Apply one KEY=VALUE in place; problems are collected."""
    place = f"argument '{argument}'"
    try:
        path, value = parse_override(argument)
    except ValueError as error:
        merged.problems.append(f"{place}: {error}")
        return
    values: dict[str, Any] = {path[-1]: value}
    for key in reversed(path[:-1]):
        values = {key: values}
    _merge(merged, values, {path[: i + 1]: place for i in range(len(path) - 1, len(path))})


def _locate(merged: _Merged, file: Path, path: yaml_tree.Path, text: str) -> str:
    """`place: dotted.key: text`, with the place of the nearest enclosing key that has one."""
    place = f"{file}:1:1"
    for length in range(len(path), 0, -1):
        if path[:length] in merged.places:
            place = merged.places[path[:length]]
            break
    return f"{place}: {'.'.join(map(str, path))}: {text}"


def _slug(stem: str) -> str:
    """A file's stem as a name of a run: other characters become `-`."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:64] or "run"
