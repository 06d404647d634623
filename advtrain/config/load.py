"""Config file + its `base` + overrides, merged and validated; every problem with its place."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from advtrain.config import yaml_tree
from advtrain.config.checks import contradictions
from advtrain.config.json_file import read_object
from advtrain.config.named_files import Origin
from advtrain.config.names import did_you_mean, make_importable
from advtrain.config.overrides import keys_of_sections, parse_override
from advtrain.config.places import Places
from advtrain.config.schema import Config
from advtrain.config.validation import problems_of
from advtrain.errors import ConfigError, SettingError

_LARGEST = 1_000_000  # bytes; a config beyond it is some other file
_LONGEST_CHAIN = 20  # files, each the base of another


@dataclass
class Merged:
    """Plain values with the place of each key, as `file:line:column` or an argument."""

    values: dict[str, Any] = field(default_factory=dict)
    places: dict[yaml_tree.Path, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    unread: list[yaml_tree.Path] = field(default_factory=list)  # where nothing is known

    def copy(self) -> Merged:
        """One that can be changed without changing this."""
        return Merged(
            copy.deepcopy(self.values), dict(self.places), list(self.problems), list(self.unread)
        )

    def forget_places(self, path: yaml_tree.Path) -> None:
        """Forget where a key and all inside it were set: something else takes their place."""
        for place in [p for p in self.places if p[: len(path)] == path]:
            del self.places[place]

    def follows(self, path: yaml_tree.Path, text: str) -> bool:
        """Whether a problem may be due only to what could not be read."""
        missing = () in self.unread and text == "missing"
        return missing or any(gap and path[: len(gap)] == gap for gap in self.unread)


def load_config(
    path: str | Path, overrides: Sequence[str] = (), *, check_imports: bool = True
) -> Config:
    """The validated config of a YAML file with `KEY=VALUE` overrides applied.

    A run's directory stands for its config.yaml, and `train` then goes on with that run where it
    lies. The folder of the file becomes importable for `import:` names; that their modules are
    there is checked unless only the curves of a run are wanted. Raises ConfigError with all
    problems at once.
    """
    path, run = Path(path), None
    if path.is_dir():
        path, run = path / "config.yaml", path
        if not path.is_file():
            raise ConfigError([
                f"argument '{run}': a folder without config.yaml; expected a YAML file or the "
                "directory of a run"
            ])  # fmt: skip
    merged = read_merged(path) if check_imports else _read(path, f"argument '{path}'")
    for argument in overrides:
        override(merged, argument)
    if "sweep" in merged.values:
        del merged.values["sweep"]
        merged.problems.append(
            f"{merged.places['sweep',]}: sweep: the config describes several runs; train them with "
            f"`advtrain sweep {path}`"
        )
    config = resolved(merged, path, overrides, check_imports=check_imports)
    config.come_from(replace(config.origin, run=run))
    return config


def read_merged(path: Path) -> Merged:
    """The values of a YAML file and its bases, not yet validated; its folder is made importable."""
    make_importable(config_folder(path))
    return _read(path, f"argument '{path}'")


def resolved(
    merged: Merged, path: Path, overrides: Sequence[str], *, check_imports: bool = True
) -> Config:
    """The validated config of the file's merged values; ConfigError with all problems at once."""
    if not merged.values.get("name") and ("name",) not in merged.places:
        merged.values["name"] = _slug(path.stem)
    config, found = problems_of(merged.values, check_imports=check_imports)
    if config is not None and not found and not merged.problems:
        found = contradictions(config)
    places = Places(path, merged.places)
    for key, text, others in found:
        if not merged.follows(key, text):
            name = ".".join(map(str, key))
            merged.problems.append(f"{places.of(key, *others)}: {name}: {text}")
    if merged.problems or config is None:
        raise ConfigError(list(dict.fromkeys(merged.problems)))
    folder = config_folder(path) if check_imports else path.parent
    config.come_from(Origin(folder.resolve(), tuple(overrides), places))
    return config


@contextmanager
def located(config: Config) -> Iterator[None]:
    """Put the place of its key before a SettingError raised inside."""
    try:
        yield
    except SettingError as error:
        places = config.origin.places
        if places is None:
            raise
        place = places.of(*(tuple(key.split(".")) for key in (error.key, *error.others)))
        raise ConfigError([f"{place}: {error}"]) from None


def config_folder(path: Path) -> Path:
    """The folder whose modules `import:` finds: that of the config a run began with.

    A run's own config.yaml has the original's folder in the provenance.json beside it.
    """
    recorded = (read_object(path.parent / "provenance.json") or {}).get("config_folder")
    return Path(recorded).resolve() if isinstance(recorded, str) else path.parent


def _read(path: Path, source: str, chain: tuple[Path, ...] = ()) -> Merged:
    """The file's values over those of its `base`; `source` is what named the file."""
    text = _text(path, source)
    if isinstance(text, ConfigError):
        return Merged(problems=text.problems, unread=[()])
    tree = yaml_tree.parse(text)
    places = {key: f"{path}:{line}:{column}" for key, (line, column) in tree.places.items()}
    own = Merged({}, places, unread=tree.unread)
    own.problems = [f"{path}:{line}:{column}: {text}" for (line, column), text in tree.problems]
    if isinstance(tree.value, dict):
        own.values = tree.value
        return _on_base(own, path, chain)
    if not own.problems:
        what = "empty" if tree.value is None else "not a mapping"
        own.problems = [f"{path}:1:1: the file is {what}; expected at least model: and dataset:"]
        own.unread = [()]
    return own


def _on_base(own: Merged, path: Path, chain: tuple[Path, ...]) -> Merged:
    """What the file at `path` says, over what the config says that its `base` names."""
    base = own.values.pop("base", None)
    place = own.places.pop(("base",), None)
    if place is None:
        return own
    chain = (*chain, path.resolve())
    if not isinstance(base, str) or "\0" in base:
        problem = "expected the path of a config"
    elif (path.parent / base).resolve() in chain:
        problem = f"{base} leads back to itself"
    elif len(chain) > _LONGEST_CHAIN:
        problem = f"more than {_LONGEST_CHAIN} configs, each the base of another"
    else:
        below = _read(path.parent / base, f"{place}: base: {path.parent / base}", chain)
        _merge(below, own.values, own.places)
        below.problems += own.problems
        below.unread += own.unread
        return below
    own.problems.append(f"{place}: base: {problem}")
    own.unread.append(())
    return own


def _text(path: Path, source: str) -> str | ConfigError:
    """The file's text, or what keeps it from being read."""
    try:
        if path.stat().st_size > _LARGEST:
            return ConfigError([f"{path}:1:1: {path.stat().st_size} bytes: not a config"])
        data = path.read_bytes()
        return data.decode("utf-8")
    except FileNotFoundError:
        here = path.parent.glob("*.y*ml") if path.parent.is_dir() else []
        near = did_you_mean(path.name, [p.name for p in here], f"{path.parent}/")
        return ConfigError([f"{source}: no such file{near}"])
    except IsADirectoryError:
        inside = path / "config.yaml"
        near = f", such as {inside}" if inside.is_file() else ""
        return ConfigError([f"{source}: a folder; expected a YAML file{near}"])
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        return ConfigError([f"{path}:{line}:{column}: not UTF-8 text"])
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return ConfigError([f"{source}: {reason}"])


def _merge(into: Merged, values: dict[str, Any], places: dict[yaml_tree.Path, str]) -> None:
    """Mappings merge, everything else replaces, and so does a section of another `name`.

    (What was set for one optimizer, model or dataset says nothing about another.)
    """

    sections = {name for name, keys in keys_of_sections().items() if keys}

    def merge(old: dict[str, Any], new: dict[str, Any], path: yaml_tree.Path) -> None:
        for key, value in new.items():
            here = (*path, key)
            if isinstance(value, dict) and not path and key in sections:
                if isinstance(old.get(key), str):
                    old[key] = {"name": old[key]}
                elif not isinstance(old.get(key), dict | None):
                    continue  # no section, as will be said: it takes no keys
            if isinstance(value, dict) and isinstance(old.get(key), dict):
                if not path and "name" in value and value["name"] != _name_of(key, old[key]):
                    old[key] = {}
                    into.forget_places(here)
                merge(old[key], value, here)
            else:
                old[key] = value
                into.forget_places(here)

    merge(into.values, values, ())
    into.places.update(places)


def _name_of(section: str, values: dict[str, Any]) -> Any:
    """The `name` that a section has, by default if it gives none."""
    default = Config.model_fields[section].default if section in Config.CHOICES else None
    return values.get("name", getattr(default, "name", None))


def override(merged: Merged, argument: str) -> None:
    """Apply one KEY=VALUE in place; problems are collected."""
    place = f"argument '{argument}'"
    try:
        path, value = parse_override(argument)
    except ValueError as error:
        merged.problems.append(f"{place}: {error}")
        return
    set_value(merged, path, value, place)


def set_value(merged: Merged, path: tuple[str, ...], value: Any, place: str) -> None:
    """Put a value over what is there; `place` is where an error about it points."""
    values: dict[str, Any] = {path[-1]: value}
    for key in reversed(path[:-1]):
        values = {key: values}
    _merge(merged, values, dict.fromkeys(_leaves(value, path), place))
    for length in range(1, len(path) + 1):  # sections that only the argument has made
        merged.places.setdefault(path[:length], place)


def _leaves(value: Any, path: yaml_tree.Path) -> Iterator[yaml_tree.Path]:
    """The paths of a value's keys; of anything but a mapping its own."""
    if not isinstance(value, dict):
        yield path
        return
    for key, inside in value.items():
        yield from _leaves(inside, (*path, key))


def _slug(stem: str) -> str:
    """A file's stem as a name of a run: other characters become `-`."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:64] or "run"
