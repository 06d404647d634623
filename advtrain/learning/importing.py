"""What a config names as `import:package.module:attribute`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from typing import Any

from advtrain.errors import SettingError, described


def import_attribute(name: str, key: str) -> Callable[..., Any]:
    """What `import:package.module:attribute` names; SettingError about the key if it cannot be."""
    module, _, attribute = name.removeprefix("import:").partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # the module is the user's
        raise SettingError(key, f"{name}: {described(error)}") from error
    if not callable(found):
        raise SettingError(key, f"{name}: not callable")
    return found


def blamed(error: BaseException, section: str, args: Iterable[str]) -> str:
    """The key to mend after a call failed: that of the argument it did not take, else the name."""
    if isinstance(error, TypeError):
        for name in args:
            if f"argument '{name}'" in str(error):
                return f"{section}.args.{name}"
    return f"{section}.name"
