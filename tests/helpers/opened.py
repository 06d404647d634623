"""Which files this process opens, and how often."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_watching: list[tuple[str, Counter[str]]] = []  # folders, and what is opened below each


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _watching and isinstance(arguments[0], str | bytes | os.PathLike):
        path = os.path.realpath(os.fsdecode(arguments[0]))
        for folder, opened in _watching:
            if path.startswith(folder + os.sep):
                opened[path.removeprefix(folder + os.sep)] += 1


sys.addaudithook(_hear)  # it cannot be taken away again


@contextmanager
def opened_in(folder: Path) -> Iterator[Counter[str]]:
    """How often each file below the folder is opened within, by its path from there."""
    found: Counter[str] = Counter()
    watched = (os.path.realpath(folder), found)
    _watching.append(watched)
    try:
        yield found
    finally:
        _watching.remove(watched)
