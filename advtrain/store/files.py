"""How a file is written: whole or not at all; and how a table becomes CSV. Imports no torch."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from advtrain.errors import RunFailed


def write_whole(file: Path, content: bytes) -> None:
    """Write a file beside its place and rename it, so that nobody ever sees half of it.

    Its folder is made if need be. RunFailed, one line that names the file, if it cannot be written.
    """
    # No process id: two hosts that share the folder may have the same one.
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(file)
    except OSError as error:
        raise cannot_write(file, error) from None
    finally:  # still there after an error or Ctrl-C
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def cannot_write(file: Path, error: OSError) -> RunFailed:
    """The error to raise where a file cannot be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    more = "; free some space and repeat the command" if full else ""
    return RunFailed(f"{file}: cannot be written: {error.strerror}{more}")


def to_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A CSV's content: true and false, floats in full, an empty cell for None."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value
