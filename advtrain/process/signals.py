"""Ctrl-C and SIGTERM while a command works: what they do, in the command line and in workers.

The first stops at once, unless a batch is under way: training lets that end and saves. So it does
where an epoch is being saved. One more stops at once in any case. Where neither handles them, as in
`train` called from Python, Ctrl-C is Python's own KeyboardInterrupt at any moment. torchrun hands
signals on to all processes of a run, which stop together, and kills those that take longer than it
waits: more signals say nothing new.
"""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from advtrain.errors import AdvtrainError, Interrupted
from advtrain.process.ranks import place

# `timeout` and some launchers signal both a process and its group: that is one wish, not two.
_SAME = 0.5  # seconds


@dataclass
class _Wish:
    """What has been asked of this process."""

    since: float | None = None  # when a signal came first
    deferred: str = ""  # until when, if the code that runs is to go on for now


_wish = _Wish()


def stop(*_: object) -> None:
    """Handler of SIGINT and SIGTERM."""
    now = time.monotonic()
    if _wish.since is None:
        _wish.since, several = now, place().size > 1
        if several:
            deafen()
        if _wish.deferred:
            # Not print: a signal may come in the middle of another one.
            more = "" if several else "; once more stops at once"
            os.write(2, f"stopping {_wish.deferred}{more}\n".encode())
            return
    elif now - _wish.since < _SAME:
        return
    raise KeyboardInterrupt


def asked() -> bool:
    """Whether a signal came, even if the code that it interrupted took no notice."""
    return _wish.since is not None


@contextmanager
def deferred(until: str = "after this batch") -> Iterator[None]:
    """A first signal meanwhile interrupts nothing: the code inside stops where `asked` tells it to.

    It is raised at the end if the code did not. `until` tells the user when that is.
    """
    _wish.deferred = until
    try:
        yield
    finally:
        _wish.deferred = ""
    if asked():
        raise KeyboardInterrupt


@contextmanager
def unmasked() -> Iterator[None]:
    """Where code made another error of a KeyboardInterrupt, raise that.

    As zipfile does: an archive that is left in the middle of a file raises ValueError.
    """
    outer = sys.exception()  # what the caller is handling, of which the code inside knows nothing
    try:
        yield
    except AdvtrainError:  # what has to be said of a stop, such as that it cannot be saved
        raise
    except Exception as error:
        before = error.__context__
        while before not in (None, outer):
            if isinstance(before, KeyboardInterrupt):
                raise KeyboardInterrupt(*before.args) from None
            before = before.__context__
        raise


@contextmanager
def interruptible(what: str = "interrupted before training began") -> Iterator[list[str]]:
    """Ctrl-C and SIGTERM end with exit code 130 and the command that goes on.

    `what` is said where the interrupted code says nothing of its own. The list is the arguments of
    that command: those of this one, unless the code inside replaces them.
    """
    again = sys.argv[1:]
    _wish.since = None
    with handling(stop, signal.SIGTERM, signal.SIGINT):
        try:
            with unmasked():
                yield again
        except KeyboardInterrupt as error:
            alone = place().size == 1
            command = shlex.join(["advtrain", *again]) if alone else "the same command"
            raise Interrupted(f"{str(error) or what}\nto go on: {command}") from None
        finally:
            _wish.since = None


@contextmanager
def handling(handler: Callable[[int, Any], object] | int, *signals: int) -> Iterator[None]:
    """Give these signals to the handler meanwhile, in the main thread; no other has signals.

    Those that are ignored stay so, as a shell's `&` wants of Ctrl-C, and after `deafen`.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [number for number in signals if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heard}
    try:
        yield
    finally:
        for number, handler_before in before.items():
            if signal.getsignal(number) == handler:
                signal.signal(number, handler_before)


@contextmanager
def noted() -> Iterator[None]:
    """Ctrl-C and SIGTERM interrupt nothing but show in `asked`: another process leads this one."""

    def note(*_: object) -> None:
        _wish.since = time.monotonic()

    with handling(note, signal.SIGTERM, signal.SIGINT):
        try:
            yield
        except KeyboardInterrupt:
            raise Interrupted("stopped with the process that leads") from None
        finally:
            _wish.since = None


def deafen() -> None:
    """Ignore Ctrl-C and SIGTERM from now on: torchrun is ending this process, which has last words.

    Should these take too long, torchrun sends SIGKILL.
    """
    if threading.current_thread() is threading.main_thread():  # which alone has signals
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
