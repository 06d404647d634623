"""Where each key of a config was set: what an error about the key begins with."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

Keys = tuple[str | int, ...]


class Problem(NamedTuple):
    """What is wrong with a key; `others` are the keys that it contradicts, if any."""

    key: Keys
    text: str
    others: tuple[Keys, ...] = ()


class ContradictionError(ValueError):
    """Raised by a validator whose key contradicts others of its section, each named alone."""

    def __init__(self, text: str, *others: str) -> None:
        super().__init__(text)
        self.others = others


@dataclass(frozen=True)
class Places:
    """The places of a config's keys, each `file:line:column` or `argument 'key=value'`."""

    file: Path
    known: dict[Keys, str] = field(default_factory=dict)

    def of(self, key: Keys, *others: Keys) -> str:
        """The place to mend: of keys that contradict each other, that of the one set last.

        An argument counts as later than the file, the file as later than its bases. A key that
        nobody set has the place of the nearest section around it, else the file's start.
        """
        found = [place for one in (key, *others) if (place := self._set(one))]
        if found:
            return max(found, key=self._rank)
        return next(
            (self.known[key[:n]] for n in range(len(key), 0, -1) if key[:n] in self.known),
            f"{self.file}:1:1",
        )

    def _set(self, key: Keys) -> str | None:
        """Where the key, or what it is an item of, was set; its section does not count."""
        around = (key[:n] for n in range(len(key), min(len(key), 2) - 1, -1))
        return next((self.known[at] for at in around if at in self.known), None)

    def _rank(self, place: str) -> int:
        if place.startswith("argument '"):
            return 2
        return int(place.startswith(f"{self.file}:"))
