"""Ctrl-C and SIGTERM while a command works."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
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
        if signal.getsignal(signal.SIGTERM) is stop:  # not `deafened`
            signal.signal(signal.SIGTERM, before)


def deafen() -> None:
    """Ignore Ctrl-C and SIGTERM from now on: torchrun is ending this process, which has last words.

    Should these take too long, torchrun sends SIGKILL.
    """
    if threading.current_thread() is threading.main_thread():  # which alone has signals
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
