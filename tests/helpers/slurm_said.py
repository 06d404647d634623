"""Stand-ins of Slurm's commands that print what was seen of the real ones."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

Say = Callable[..., None]  # command, out, err, code


def stand_in(folder: Path, command: str, out: str = "", err: str = "", code: int = 0) -> None:
    """A command of Slurm that prints a text and ends with a code; `asked` has its arguments."""
    script = folder / command
    script.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$*\" >>{shlex.quote(str(folder / 'asked'))}\n"
        f"printf %s {shlex.quote(out)}\nprintf %s {shlex.quote(err)} >&2\nexit {code}\n"
    )
    script.chmod(0o755)
