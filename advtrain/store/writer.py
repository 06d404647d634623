"""A run's directory in the hands of its one writer: lock, attempt, heartbeat, atomic files."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from advtrain.errors import AdvtrainError, Busy, Lost, RunFailed, Superseded, described
from advtrain.process.signals import deafen, handling, unmasked
from advtrain.store.files import cannot_write, write_whole
from advtrain.store.owner import this_process
from advtrain.store.run_status import Status, read_status

_HEARTBEAT = 10.0  # seconds
_FILES = ("status.json", "*.pt", "*.csv", "verdict.json", "provenance.json", "config.yaml",
          "examples.npz", "log.txt", ".*.tmp")  # fmt: skip


class RunDirectory:
    """The right to write to a run's directory, held until `release`.

    Every file is written beside its place and renamed into it, so that a reader or a killed
    writer never leaves half a file. Before each renaming the writer makes sure that no later
    attempt has taken the run over.
    """

    def __init__(self, path: Path, lock: FileLock, before: Status | None) -> None:
        self.path = path
        self.before = before  # as it was found
        attempt = before.attempt + 1 if before else 1
        self.owner = this_process()
        self.status = Status("running", attempt, heartbeat=time.time(), **asdict(self.owner))
        self._lock = lock
        self._writing = threading.RLock()
        self._released = threading.Event()

    def begin(self, **fields: Any) -> None:
        """Declare this attempt the writer; until then nothing in the directory is touched."""
        found = read_status(self.path)
        if found and found.attempt >= self.status.attempt:
            raise Busy(_busy(self.path))
        for leftover in self.path.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)
        self.status = replace(self.status, heartbeat=time.time(), **fields)
        self._replace("status.json", self.status.to_json().encode())
        threading.Thread(target=self._beat, daemon=True).start()

    def write(self, name: str, content: bytes) -> None:
        """Put a file in place; RunFailed if the disk or a later attempt forbids it."""
        with self._writing:
            self._check_attempt()
            try:
                self._replace(name, content)
            except RunFailed:
                self._check_attempt()  # whoever takes a run over removes files half written
                raise

    def remove(self, name: str) -> None:
        """Take a file away, if it is there."""
        with self._writing:
            self._check_attempt()
            try:
                (self.path / name).unlink(missing_ok=True)
            except OSError as error:
                raise _kept(cannot_write(self.path / name, error)) from None

    def set_status(self, **changes: Any) -> None:
        """Change fields of status.json."""
        with self._writing:
            self.status = replace(self.status, heartbeat=time.time(), **changes)
            self.write("status.json", self.status.to_json().encode())

    def log(self, line: str) -> None:
        """Append a line to log.txt."""
        self._check_attempt()
        try:
            with (self.path / "log.txt").open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
        except OSError as error:
            raise _kept(cannot_write(self.path / "log.txt", error)) from None

    def release(self) -> None:
        """Let the next writer in."""
        self._released.set()
        with self._writing:
            self._lock.release()

    def _check_attempt(self) -> None:
        """RunFailed unless status.json is still that of this attempt."""
        current, own = read_status(self.path), self.status
        if current is None:
            raise RunFailed(f"{self.path}: its status.json is gone or unreadable; nothing written")
        # Host and pid too: two hosts may have taken a stale run over at the same moment.
        if (current.attempt, current.host, current.pid) != (own.attempt, own.host, own.pid):
            raise Superseded(
                f"{self.path}: another process took this run over; this one stops and has "
                "written nothing since"
            )

    def _replace(self, name: str, content: bytes) -> None:
        try:
            write_whole(self.path / name, content)
        except RunFailed as error:
            raise _kept(error) from None

    def _beat(self) -> None:
        while not self._released.wait(_HEARTBEAT):
            # A later attempt or a full disk: the main thread meets the same at its next file.
            with contextlib.suppress(RunFailed), self._writing:
                if not self._released.is_set():
                    self.set_status()


def _kept(error: RunFailed) -> RunFailed:
    return RunFailed(f"{error}; all finished epochs before it are kept")


@contextlib.contextmanager
def hold(path: Path) -> Iterator[RunDirectory]:
    """Keep a run's directory, made if need be, from all other writers.

    Raises Busy if another process is at it: on this host as long as it lives, elsewhere while
    its heartbeat is fresh (but see `Owner`); AdvtrainError if it cannot be written. A directory
    made in vain is removed again.
    """
    new = False
    try:
        new = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        lock = _lock(path)
    except Timeout:
        raise Busy(_busy(path)) from None
    except OSError as error:
        if new:
            _remove_empty(path)
        raise AdvtrainError(f"{path}: cannot be written: {error.strerror}") from None
    directory = RunDirectory(path, lock, read_status(path))
    try:
        if directory.before and directory.owner.yields_to(directory.before):
            raise Busy(_busy(path))
        yield directory
    finally:
        if new and not (path / "status.json").exists():
            _remove_empty(path)  # under the lock: afterwards it might be another's
        directory.release()


def _lock(path: Path) -> FileLock:
    """The lock on a run, taken from a holder whom it outlives; filelock's Timeout if it is held.

    Such a holder keeps the lock on a file that is no longer there; its attempt is over, too.
    """
    lock = FileLock(path / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        if not this_process().outlives(read_status(path)):
            raise
        (path / ".lock").unlink(missing_ok=True)
        lock.acquire()
    return lock


@contextlib.contextmanager
def outcome_in(directory: RunDirectory) -> Iterator[None]:
    """Record in status.json how the work inside ended, whatever it was.

    RunFailed says so of an exception, whose traceback goes to log.txt. A KeyboardInterrupt may
    say how far the work was.
    """
    path = directory.path
    try:
        with unmasked():
            yield
    except KeyboardInterrupt as stop:
        with handling(signal.SIG_IGN, signal.SIGINT, signal.SIGTERM):  # or one more would undo it
            ended = read_status(path)
            if not ended or ended.state != "finished":
                directory.set_status(state="interrupted")
        where = str(stop) or f"interrupted after epoch {directory.status.epoch}"
        raise KeyboardInterrupt(f"{where}, saved in {path}") from None
    except Lost as error:
        deafen()
        directory.set_status(state="interrupted", error=str(error))
        directory.log(f"interrupted: {error}")
        raise Lost(
            f"{path}: {error}; epoch {directory.status.epoch} and those before it are saved, and "
            "the same command goes on"
        ) from None
    except RunFailed as error:  # the directory cannot be written: trying says no more
        with contextlib.suppress(RunFailed):
            directory.set_status(state="failed", error=str(error))
        raise
    except Exception as error:
        text = described(error)
        directory.set_status(state="failed", error=text)
        directory.log(traceback.format_exc())
        raise RunFailed(f"{path}: {text}; the traceback is in its log.txt") from error


def note_end(path: Path, state: str, error: str, log: str = "", epochs: int = 0) -> None:
    """Record how an attempt ended that can no longer say so itself; a finished run stays as it is.

    The attempt's number stays, since nobody has trained since.
    """
    with hold(path) as directory:
        before = directory.before
        if before and before.state == "finished":
            return
        if before:
            directory.status = before
            directory.set_status(state=state, error=error)
        else:
            directory.begin(state=state, error=error, epochs=epochs)
        directory.log(f"{state}: {error}\n{log}" if log else f"{state}: {error}")


def note_queued(path: Path, job: str, epochs: int) -> None:
    """Record that a Slurm job is to train the run, unless it does so already or has done so."""
    with hold(path) as directory:
        before = directory.before
        if before is None:
            directory.begin(state="queued", attempt=0, job=job, epochs=epochs)
        elif before.state != "finished" and before.job != job:
            directory.status = replace(before, job=job, restart=0, error="")
            directory.set_status(state="queued")


def clear(path: Path) -> None:
    """Remove a run's files, so that it begins from nothing; what is not a run's file stays."""
    with hold(path):
        for pattern in _FILES:
            for file in path.glob(pattern):
                file.unlink(missing_ok=True)


def _remove_empty(path: Path) -> None:
    """Remove a directory with nothing but a lock in it, and the folder around it if empty."""
    with contextlib.suppress(OSError):
        (path / ".lock").unlink(missing_ok=True)
        path.rmdir()
        path.parent.rmdir()


def _busy(path: Path) -> str:
    status = read_status(path)
    running = status is not None and status.state == "running"  # else it has yet to begin
    who = f" (pid {status.pid} on {status.host})" if status and running else ""
    return f"{path}: another process{who} is working on this run"
