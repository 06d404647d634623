"""The loop of a sweep: gives runs to workers, takes note of what becomes of them."""

from __future__ import annotations

import math
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from advtrain.errors import AdvtrainError
from advtrain.process.signals import handling
from advtrain.store.run_status import read_status
from advtrain.store.writer import note_end
from advtrain.sweep.board import Board, outcome
from advtrain.sweep.launch.pool import Event, Worker, Workers
from advtrain.sweep.plan import Planned
from advtrain.sweep.view import View

_TICK = 0.2  # seconds between looks at what else may have happened
_AGAIN = 2.0  # seconds before a run that another process trains is tried again


@dataclass
class Stop:
    """How often Ctrl-C or SIGTERM came; `now` also stands for --fail-fast's first failure."""

    signals: int = 0
    now: bool = False


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Count signals instead of raising: the workers have to save first."""
    stop = Stop()

    def count(*_: object) -> None:
        stop.signals += 1
        stop.now = True

    with handling(count, signal.SIGINT, signal.SIGTERM):
        yield stop


def work_off(
    todo: Sequence[Planned],
    board: Board,
    workers: Workers,
    runs_dir: Path,
    view: View,
    stop: Stop,
    changed: Callable[[], object],
    *,
    fail_fast: bool,
) -> None:
    """Train these runs; returns when none is left, or when stopped and all workers have ended.

    `changed` is called whenever a run has come to an end.
    """
    pending, elsewhere, told = deque(todo), dict[Path, float](), False
    for run in todo:  # what ended it before is no failure of this sweep
        of = board.of(run)
        # How the attempt ends that another sweep is at now is to be noted, too.
        before = of.attempt - (of.state == "running")
        board.outcomes[run.path] = replace(of, state="queued", error="", attempt=before)
    stopping, killed = False, False
    while workers.alive() if stopping else (pending or workers.busy()):
        if stop.now and not stopping:
            stopping = True
            view.note("stopping: every run is being saved")
            workers.stop()
        if stop.signals > 1 and not killed:
            killed = True
            workers.kill()
        for worker in workers.idle() if not stopping else []:
            if chosen := _next(pending, elsewhere, board, changed, view):
                workers.assign(worker, chosen, runs_dir)
        if (
            pending
            and not workers.busy()
            and not told
            and all(r.path in elsewhere for r in pending)
        ):
            told = True
            view.note(f"another process trains the remaining {len(pending)} runs: waiting for it")
        found = workers.event(_TICK)
        view.tick()
        if not found:
            continue
        worker, event = found
        if event["event"] == "ended" and event["state"] == "busy":
            assert worker.run is not None
            elsewhere[worker.run.path] = time.monotonic() + _AGAIN
            pending.append(worker.run)
            worker.run = None
            continue
        ended = worker.run
        if _take_note(worker, event, board, view, stopping or stop.now) and ended:
            changed()
            stop.now |= fail_fast and board.of(ended).failed


def _next(
    pending: deque[Planned], elsewhere: dict[Path, float], board: Board,
    changed: Callable[[], object], view: View,
) -> Planned | None:  # fmt: skip
    """The next run to train now; those that another process has ended meanwhile are noted."""
    for _ in range(len(pending)):
        run = pending.popleft()
        status = read_status(run.path)
        ended = status and (
            status.state == "finished" or (status.error and status.attempt > board.of(run).attempt)
        )
        if ended:
            board.outcomes[run.path] = outcome(run)
            view.ended(run)
            changed()
        elif time.monotonic() < elsewhere.get(run.path, 0):
            pending.append(run)
        else:
            return run
    return None


def _take_note(worker: Worker, event: Event, board: Board, view: View, stopping: bool) -> bool:
    """Put an event on the board and show it; whether a run has ended by it."""
    run = worker.run
    if event["event"] == "warning":
        view.warn(event["text"])
    if run is None:
        return False
    now = board.of(run)
    match event["event"]:
        case "started":
            now = replace(now, state="running", epoch=event["epoch"], error="")
        case "epoch":
            robust = event["robust"]
            seconds = now.seconds + (event["seconds"] or 0)
            last = robust if robust is not None and math.isfinite(robust) else now.last
            now = replace(now, epoch=event["epoch"], last=last, seconds=seconds)
        case "ended":
            if event["state"] == "interrupted" and not stopping:
                _note_death(run, event | {"cause": "its process was told to stop", "tail": ""})
            now = outcome(run)
            if event["state"] == "failed":  # the directory may not be writable
                error = now.error or event["error"].removeprefix(f"{run.path}: ")
                now = replace(now, state="failed", error=error)
            worker.run = None
        case "died":
            if not stopping:
                _note_death(run, event)
            now = outcome(run)
            if not stopping and not now.finished:
                now = replace(now, state="interrupted", error=event["cause"])
            worker.run = None
    begun = now.attempt > board.of(run).attempt or now.state == "running"
    board.outcomes[run.path] = now
    if worker.run is not None:
        view.moved(run)
        return False
    if begun or not stopping:
        view.ended(run, event.get("tail", ""))
    return True


def _note_death(run: Planned, event: Event) -> None:
    """Leave in the run's directory why its process is gone."""
    epochs = run.config.training.epochs
    with suppress(AdvtrainError):  # another process has it already, or nothing can be written
        note_end(run.path, "interrupted", event["cause"], event["tail"], epochs)
