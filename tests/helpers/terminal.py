"""What a terminal would show."""

from __future__ import annotations

import os


def read_all(descriptor: int) -> str:
    """All that comes until the other end of a pseudo-terminal is closed."""
    parts = []
    try:
        while part := os.read(descriptor, 65536):
            parts.append(part)
    except OSError:  # Linux: the other end is closed
        pass
    return b"".join(parts).decode()
