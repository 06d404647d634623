"""JSON files, read whatever they hold. Here, since a config looks into its run's provenance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_object(file: Path) -> dict[str, Any] | None:
    """The object in a JSON file; empty if there is no such file, None if it is damaged.

    What cannot be read, or holds no object, counts as damaged, too.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
