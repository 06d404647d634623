"""Where each key of a config was set: what an error about the key begins with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

Keys = tuple[str | int, ...]


@dataclass(frozen=True)
class Places:
    """The places of a config's keys, each `file:line:column` or `argument 'key=value'`."""

    file: Path
    known: dict[Keys, str] = field(default_factory=dict)

    def of(self, path: Keys) -> str:
        """The place of a key, else of the nearest section around it, else the file's start."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.known:
                return self.known[path[:length]]
        return f"{self.file}:1:1"
