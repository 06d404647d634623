"""The code behind a config's `import:` names, as this process has imported it."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterable
from importlib.machinery import ModuleSpec
from pathlib import Path

import torch

from advtrain.config.names import make_importable, module_of
from advtrain.config.schema import Config
from advtrain.config.source_files import (
    Code,
    ModuleSource,
    Sources,
    read_sources,
    shown,
    source_at,
    source_now,
)
from advtrain.errors import AdvtrainError
from advtrain.learning.importing import import_attribute
from advtrain.learning.streams import seed_of

# Each module's source when it was imported; its spec tells whether it was imported anew since.
_IMPORTED: dict[str, tuple[ModuleSpec | None, ModuleSource]] = {}
_SOURCES: dict[str, Sources] = {}  # behind each module that a config named


def import_code(config: Config, keys: Iterable[str] | None = None) -> Code:
    """Import what a config names (under these keys); the sources behind it, by key.

    A module that has changed since this process imported it is imported anew. But a sweep goes on
    with the code that it began with (`config.origin.code`): AdvtrainError where that is gone.
    """
    if config.imports:
        make_importable(config.origin.folder)
    planned = config.origin.code or {}
    return {
        key: _import(name, key, planned.get(key), seed_of(config.seed, "init"))
        for key, name in config.imports.items()
        if keys is None or key in keys
    }


def _import(name: str, key: str, planned: Sources | None, seed: int) -> Sources:
    named = module_of(name)
    wanted = read_sources(name) if planned is None else planned
    changed = [each for each, now in wanted.items() if not now.same(_in_process(each, now))]
    if changed and planned is not None:
        file = shown(wanted[changed[0]].file)
        raise AdvtrainError(
            f"{file} has changed since this sweep began; restore it and repeat with --rerun "
            "failed, or give the new code a sweep of its own with name=..."
        )
    if changed:
        for each in wanted:
            sys.modules.pop(each, None)
    if named not in sys.modules:
        _forget_bytecode(wanted)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)  # a module may draw when it is imported
            import_attribute(name, key)
    if _IMPORTED.get(named, (None,))[0] is not _spec_of(named) or named not in _SOURCES:
        # Importing may have changed Python's path, so that more is found.
        _SOURCES[named] = wanted | read_sources(name) | wanted
        _IMPORTED.update({m: (_spec_of(m), source) for m, source in _SOURCES[named].items()})
    return _SOURCES[named]


def _in_process(module: str, now: ModuleSource) -> ModuleSource | None:
    """A module as this process has imported it, else as importing it would."""
    loaded, (spec, source) = _spec_of(module), _IMPORTED.get(module, (None, None))
    if loaded is not None and spec is loaded:
        return source
    file = loaded.origin if loaded is not None and loaded.has_location else None
    if file is None or file == now.file or now.version:
        return source_now(module, now.file)
    return source_at(file)  # of another folder


def _spec_of(module: str) -> ModuleSpec | None:
    return getattr(sys.modules.get(module), "__spec__", None)


def _forget_bytecode(sources: Sources) -> None:
    """Remove compiled files older than their source.

    Python compares whole seconds and sizes, and would take them for compiled from a source that
    was changed within the same second.
    """
    for source in sources.values():
        file = Path(source.file)
        with contextlib.suppress(OSError, NotImplementedError):
            compiled = Path(importlib.util.cache_from_source(file))
            if compiled.stat().st_mtime_ns < file.stat().st_mtime_ns:
                compiled.unlink()
