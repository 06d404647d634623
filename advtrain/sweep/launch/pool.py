"""Workers on this machine: started, given runs, listened to, replaced when they die."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from advtrain.errors import RunFailed
from advtrain.store.run_status import progress_of, read_status
from advtrain.sweep.launch.config_json import config_to_json
from advtrain.sweep.launch.machine import Seat
from advtrain.sweep.plan import Planned

# As `-m advtrain.sweep.launch.worker`, but with this process's search path: `-m` would put the
# current folder first, and its modules before those that `advtrain train` finds.
_CODE = "import sys; sys.path[:] = {path!r}; from advtrain.sweep.launch.worker import main; main()"
_TAIL = 30  # lines of a log
_LONGEST = 300  # characters of each
_LAST_WORDS = 2.0  # seconds after a process's end in which what it told may still be read
_STILLBORN = 3  # workers that end before they are ready, after which it is no accident

Event = dict[str, Any]


@dataclass(eq=False)
class Worker:
    """A process and what it is at. `log` has what it and its runs print, from `begins` on."""

    seat: Seat
    process: subprocess.Popen[bytes]
    log: IO[bytes]
    begins: int
    ready: bool = False
    run: Planned | None = None
    exited: float | None = None  # when its process was first seen to have ended

    def tail(self) -> str:
        """The last lines that were printed since the current run began."""
        with Path(self.log.name).open("rb") as file:
            file.seek(self.begins)
            text = file.read().decode(errors="replace")
        # A crash's traceback ends with a list of modules that fills the screen.
        lines = [x for x in text.splitlines() if not x.startswith("Extension modules: ")]
        return "\n".join(line[:_LONGEST] for line in lines[-_TAIL:]).strip()


class Workers:
    """The workers of a sweep, one a seat. Each ends with this process: its stdin does."""

    def __init__(self, seats: Sequence[Seat], directory: Path, argv: Sequence[str]) -> None:
        self._directory, self._argv = directory, list(argv)
        self._events: queue.Queue[tuple[Worker, Event | None]] = queue.Queue()
        self._stillborn = 0
        self._stopping = False
        self.count = len(seats)
        self._workers = [self._start(seat) for seat in seats]

    def idle(self) -> list[Worker]:
        """Those that wait for a run."""
        return [w for w in self._workers if w.ready and w.run is None]

    def busy(self) -> bool:
        """Whether a run is being trained."""
        return any(worker.run for worker in self._workers)

    def alive(self) -> bool:
        """Whether any process is left."""
        return bool(self._workers)

    def assign(self, worker: Worker, run: Planned, runs_dir: Path) -> None:
        """Let a worker train a run."""
        worker.run, worker.begins = run, os.fstat(worker.log.fileno()).st_size
        task = config_to_json(run.config) | {
            "path": str(run.path),
            "runs_dir": str(runs_dir),
            "epochs": run.config.training.epochs,
            "seen": progress_of(read_status(run.path)),
            "device": worker.seat.device,
            "argv": self._argv,
        }
        with contextlib.suppress(OSError):  # it has died: the next event says so
            assert worker.process.stdin is not None
            worker.process.stdin.write((json.dumps(task) + "\n").encode())
            worker.process.stdin.flush()

    def event(self, wait: float) -> tuple[Worker, Event] | None:
        """The next event, `died` among them; None if there is none within `wait` seconds."""
        with contextlib.suppress(queue.Empty):
            worker, event = self._events.get(timeout=wait)
            if worker not in self._workers:  # its end was noted: see below
                return None
            if event is None:
                return self._ended(worker)
            if event["event"] == "ready":
                worker.ready, self._stillborn = True, 0
            return worker, event
        # A process that a run has started may keep the pipe open after the worker's death.
        now = time.monotonic()
        for worker in self._workers:
            if worker.process.poll() is not None:
                worker.exited = worker.exited or now
                if now - worker.exited >= _LAST_WORDS:
                    return self._ended(worker)
        return None

    def _ended(self, worker: Worker) -> tuple[Worker, Event]:
        """Take note of a worker's end and put another in its place."""
        code, tail = worker.process.wait(), worker.tail()
        worker.log.close()
        self._workers.remove(worker)
        if not worker.ready and not self._stopping:
            self._stillborn += 1
            if self._stillborn >= _STILLBORN:
                raise RunFailed(f"workers do not start: {died_of(code)}\n{tail}")
        if not self._stopping:
            self._workers.append(self._start(worker.seat))
        return worker, {"event": "died", "cause": died_of(code), "tail": tail}

    def stop(self) -> None:
        """Let each save its run and end; no other takes its place."""
        self._stopping = True
        for worker in self._workers:
            worker.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End them at once; what a run has saved is kept."""
        self._stopping = True
        for worker in self._workers:
            worker.process.kill()

    def close(self) -> None:
        """End all, at the end of the sweep or after an error in it."""
        self.kill()
        for worker in self._workers:
            worker.process.wait()
            worker.log.close()

    def _start(self, seat: Seat) -> Worker:
        log = _log(self._directory)
        process = subprocess.Popen(
            [sys.executable, "-c", _CODE.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=os.environ | seat.env,
            start_new_session=True,  # Ctrl-C is the sweep's to pass on
        )
        worker = Worker(seat, process, log, os.fstat(log.fileno()).st_size)
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        return worker

    def _listen(self, worker: Worker) -> None:
        assert worker.process.stdout is not None
        for line in worker.process.stdout:
            with contextlib.suppress(ValueError):  # a line that a kill cut off
                self._events.put((worker, json.loads(line)))
        self._events.put((worker, None))


def died_of(code: int) -> str:
    """What ended a process, by its exit code."""
    if code >= 0:
        return f"its process ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    lack = ", perhaps for lack of memory" if name == "SIGKILL" else ""
    return f"killed by {name}{lack}"


def _log(directory: Path) -> IO[bytes]:
    """The first worker-N.log that no other worker writes to, opened to append."""
    number = 0
    while True:
        number += 1
        file = directory / f"worker-{number}.log"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            log = file.open("ab")
        except OSError as error:
            raise RunFailed(f"{file}: cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            log.close()
        else:
            return log
