"""What a config names as `import:package.module:attribute`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from advtrain.errors import AdvtrainError


def import_attribute(name: str) -> Callable[..., Any]:
    """What `import:package.module:attribute` names; AdvtrainError if it cannot be imported."""
    module, _, attribute = name.removeprefix("import:").partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # the module is the user's: anything may happen in it
        raise AdvtrainError(f"{name}: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise AdvtrainError(f"{name}: not callable")
    return found  # type: ignore[no-any-return]
