"""Ctrl-C and SIGTERM while a command works."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from advtrain.errors import Interrupted


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM end with exit code 130 and the command that goes on."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt as error:
        what = str(error) or "interrupted before training began"
        command = shlex.join(["advtrain", *sys.argv[1:]])
        raise Interrupted(f"{what}\nto go on: {command}") from None
    finally:
        signal.signal(signal.SIGTERM, before)
