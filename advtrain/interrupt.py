"""Ctrl-C and SIGTERM while a command works."""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from advtrain.errors import Interrupted


@contextmanager
def interruptible(what: str = "interrupted before training began") -> Iterator[None]:
    """Ctrl-C and SIGTERM end with exit code 130 and the command that goes on.

    `what` is said where the interrupted code says nothing of its own.
    """

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt as error:
        command = shlex.join(["advtrain", *sys.argv[1:]])
        raise Interrupted(f"{str(error) or what}\nto go on: {command}") from None
    finally:
        signal.signal(signal.SIGTERM, before)
