"""Files and folders that a config names: in the current folder, else in that of the config."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr

from advtrain.config.places import Places
from advtrain.config.section import Section
from advtrain.config.source_files import Code
from advtrain.errors import SettingError


@dataclass(frozen=True)
class Origin:
    """Where a config came from: the folder that `import:` searches, and what was overridden.

    `run` is the run's directory that was given in place of a file: training goes on in it. An
    origin is no part of what the config says, so configs of different origins may be equal.
    """

    folder: Path = field(compare=False)
    overrides: tuple[str, ...] = field(default=(), compare=False)
    places: Places | None = field(default=None, compare=False)  # None if made in Python
    # What is behind its `import:` names when a sweep began; else what is there now counts.
    code: Code | None = field(default=None, compare=False)
    run: Path | None = field(default=None, compare=False)


class NamesFiles(Section):
    """A section that names files."""

    _origin: Origin = PrivateAttr(default_factory=lambda: Origin(Path()))

    def seen_from_here(self, text: str, key: str) -> str:
        """A path as it is to be opened; one that is absolute, or nowhere, as it is.

        So a command works from any folder. Raises SettingError about the key where the current
        folder and the config's have two different ones.
        """
        beside = self._origin.folder / text
        if not _is_there(beside):
            return text
        if not _is_there(Path(text)):
            return str(beside)
        if not beside.samefile(text):
            raise SettingError(
                key, f"{text} is both in the current folder and in the config's ({beside}); write "
                "the whole path of one"
            )  # fmt: skip
        return text

    def handed_over(self, args: Any, key: str) -> Any:
        """The arguments of a user's own class or function, in which any text may name a file.

        A folder does so where it is written with a slash: `train` may be a word.
        """
        if isinstance(args, dict):
            return {name: self.handed_over(one, f"{key}.{name}") for name, one in args.items()}
        if isinstance(args, list):
            return [self.handed_over(item, key) for item in args]
        if isinstance(args, str) and ("/" in args or _is_there(self._origin.folder / args, True)):
            return self.seen_from_here(args, key)
        return args


def _is_there(path: Path, as_file: bool = False) -> bool:
    try:
        return path.is_file() if as_file else path.exists()
    except (OSError, ValueError):  # too long for a path, or with a NUL
        return False
