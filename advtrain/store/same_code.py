"""Whether runs were made by the code that a config names today. Imports no torch.

provenance.json has the sources behind each `import:` name of the run's config.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from advtrain.config.names import make_importable, module_of
from advtrain.config.schema import Config
from advtrain.config.source_files import Code, ModuleSource, shown, source_now
from advtrain.errors import AdvtrainError
from advtrain.store import provenance
from advtrain.store.naming import other_seeds
from advtrain.store.parent import Parent

Look = Callable[[str, str], ModuleSource | None]  # a module, and the file that it was in


def check_code(
    config: Config, path: Path, parent: Parent | None, warn: Callable[[str], None]
) -> None:
    """Make sure that a run is taken up with the code that it was begun with.

    A new one needs the code of its parent, where both name the same, and of the runs that differ
    from it by their seed alone. Raises AdvtrainError that names the file. Runs of older versions,
    which noted no code, get a warning.
    """
    if not config.imports:
        return
    make_importable(config.origin.folder)
    look = cache(source_now)
    record = provenance.made(path)
    if record and (text := difference(config, record, "this run began", look)):
        raise AdvtrainError(
            f"{path}: {text}; restore it, or give the new code a run of its own with name=..."
        )
    if not record and parent:
        _check_parent(config, parent, look)
    others = [] if record else other_seeds(config, path.parent, parent)
    for other in others:
        if text := difference(config, provenance.glance(other), "this run began", look):
            raise AdvtrainError(
                f"{other}: {text}; it is the same experiment with another seed: restore the file, "
                "or keep the two apart with name=..."
            )
    known = [path, *others, *([parent.path] if parent and not record else [])]
    if text := untold(dict.fromkeys(known, config)):
        warn(text)


def _check_parent(config: Config, parent: Parent, look: Look) -> None:
    """AdvtrainError where the parent was made by other code, under a name that both have."""
    record = provenance.made(parent.path)
    shared = {k for k, name in config.imports.items() if parent.config.imports.get(k) == name}
    if text := difference(config, record, "that run began", look, shared):
        raise AdvtrainError(
            f"argument '--from {parent.path}': {text}; restore it, or leave --from out and begin "
            f"with that run's weights: model.weights={parent.path}/last.pt"
        )


def check_networks(configs: Mapping[Path, Config], warn: Callable[[str], None]) -> None:
    """AdvtrainError where the code of a run's network is not what its weights were trained with."""
    imported = {run: config for run, config in configs.items() if "model.name" in config.imports}
    for run, config in imported.items():
        make_importable(config.origin.folder)
        text = difference(config, provenance.read(run), "this run began", keys=["model.name"])
        if text:
            raise AdvtrainError(
                f"{run}: {text}, so its weights may mean something else; restore it to evaluate "
                "them (provenance.json names the commit)"
            )
    if text := untold(imported):
        warn(text)


def difference(
    config: Config,
    record: Mapping[str, Any],
    began: str,
    look: Look = source_now,
    keys: Iterable[str] | None = None,
) -> str:
    """What of the code differs from that in a run's provenance; empty where nothing does.

    The code is what the config's sweep began with, if it has one, else what is there now. `keys`
    are those of the config that matter; by default all.
    """
    recorded, planned = code_in(record) or {}, config.origin.code or {}
    for key in config.imports if keys is None else keys:
        for module, old in recorded.get(key, {}).items():
            now = planned.get(key, {}).get(module) or look(module, old.file)
            if not old.same(now):
                return _in_words(module, old, now, began)
    return ""


def _in_words(module: str, old: ModuleSource, now: ModuleSource | None, began: str) -> str:
    if now is None:
        return f"{shown(old.file)} was there when {began} and is gone"
    if old.version or now.version:
        return f"{module} is {_origin(now)}, and was {_origin(old)} when {began}"
    if now.file != old.file:
        return f"{shown(now.file)} differs from {shown(old.file)}, with which {began}"
    return f"{shown(now.file)} has changed since {began}"


def _origin(source: ModuleSource) -> str:
    return f"version {source.version}" if source.version else shown(source.file)


def uncheckable(code: Code) -> list[str]:
    """A sentence about each module that cannot be read, so that no change would be noticed."""
    files = {m: s.file for of in code.values() for m, s in of.items() if not s.sha256 + s.version}
    return [
        f"{module}: its source cannot be read ({file}), so a change in it will not be noticed"
        for module, file in files.items()
    ]


def untold(runs: Mapping[Path, Config]) -> str:
    """A sentence about those of the runs of which no code was noted; empty if there are none."""
    old = {
        run: config.imports.values()
        for run, config in runs.items()
        if config.imports
        and provenance.has_results(run)
        and code_in(provenance.glance(run)) is None
    }
    if not old:
        return ""
    more = f" and {len(old) - 1} more" if len(old) > 1 else ""
    modules = ", ".join(dict.fromkeys(module_of(name) for names in old.values() for name in names))
    return (
        f"{next(iter(old))}{more}: no checksum of the code (older versions kept none), so "
        f"whether {modules} has changed since cannot be told"
    )


def code_digest(record: Mapping[str, Any]) -> str:
    """Equal for runs of the same code, wherever its files are."""
    code = code_in(record) or {}
    parts = {k: {m: [s.code, s.version] for m, s in of.items()} for k, of in code.items()}
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def code_in(record: Mapping[str, Any]) -> Code | None:
    """The sources that a provenance has noted; None of an older version or a damaged file."""
    try:
        return {
            key: {module: _of_json(source) for module, source in sources.items()}
            for key, sources in record["sources"].items()
        }
    except (KeyError, TypeError, AttributeError):
        return None


def _of_json(source: Mapping[str, Any]) -> ModuleSource:
    return ModuleSource(**{name: str(value) for name, value in source.items()})


def code_to_json(code: Code) -> dict[str, Any]:
    """What provenance.json has under `sources`."""
    return {
        key: {module: asdict(source) for module, source in sources.items()}
        for key, sources in code.items()
    }
