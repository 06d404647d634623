"""A sweep's worker: a process that imports torch once and takes run after run.

Tasks come as JSON lines on stdin, events leave as JSON lines on stdout; whatever else is printed
goes to stderr, which is the worker's log. The end of stdin is the end of the sweep's process, and
ends this one at once, as a kill would: the run goes on from what it saved when it is next trained.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import io
import json
import os
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from advtrain.config.load import located
from advtrain.config.schema import Config
from advtrain.errors import AdvtrainError, Busy, RunFailed, Superseded
from advtrain.process.observer import Observer
from advtrain.process.signals import asked, stop
from advtrain.records import EpochRecord, Row
from advtrain.store.run_status import progress_of, read_status
from advtrain.store.writer import note_end
from advtrain.sweep.launch.config_json import config_from_json

_RUNNING = threading.Event()


class Reporter(Observer):
    """Tells the sweep what its run does."""

    def __init__(self, events: int) -> None:
        self.events = events

    def tell(self, event: str, **fields: Any) -> None:
        """One event. Should the sweep be gone, stdin's end ends this process."""
        line = json.dumps({"event": event, **fields}) + "\n"
        view = memoryview(line.encode())
        while view:
            view = view[os.write(self.events, view) :]

    def started(self, run: Path, config: Config, rows: list[Row]) -> None:
        """Training begins."""
        self.tell("started", epoch=len(rows))

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is saved."""
        self.tell("epoch", epoch=record.epoch, robust=record.test_robust_acc,
                  seconds=record.seconds)  # fmt: skip

    def warn(self, text: str) -> None:
        """Passed on."""
        self.tell("warning", text=text)


def main() -> None:
    """Take tasks until stdin ends."""
    faulthandler.enable(all_threads=False)
    # Private copies, so that code of models and datasets neither reads tasks nor writes events.
    tasks_from, events = os.dup(0), os.dup(1)
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    if isinstance(sys.stdout, io.TextIOWrapper):  # so that a crash loses nothing of it
        sys.stdout.reconfigure(line_buffering=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # Slurm sends it to all of a task's processes
    signal.signal(signal.SIGTERM, _stop)
    tasks: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_watch, args=(tasks_from, tasks), daemon=True).start()
    importlib.import_module("advtrain.tasks.train")  # torch and all, before the first task

    gc.freeze()  # what importing made stays: looking through it after each run takes longer
    reporter = Reporter(events)
    reporter.tell("ready")
    while True:
        _work(tasks.get(), reporter)
        gc.collect()  # a GPU's memory is the next run's


def _watch(tasks_from: int, tasks: queue.SimpleQueue[dict[str, Any]]) -> None:
    """Pass the tasks on; end the process when the sweep's has ended."""
    with os.fdopen(tasks_from, "rb") as lines:
        for line in lines:
            tasks.put(json.loads(line))
    os._exit(1)


def _stop(*_: object) -> None:
    """SIGTERM: stop the run if there is one, as `advtrain train` does.

    Once: Slurm may send it beside the sweep, and a sweep in a hurry kills.
    """
    if not _RUNNING.is_set():
        os._exit(0)
    if not asked():
        stop()


def _work(task: dict[str, Any], reporter: Reporter) -> None:
    """Train one run and tell how it ended."""
    import torch

    path, error, state = Path(task["path"]), "", "finished"
    sys.argv = task["argv"]
    _RUNNING.set()
    try:
        _train(task, reporter)
    except KeyboardInterrupt:
        state = "interrupted"
    except (Busy, Superseded):
        state = "busy"
    except RunFailed as failure:  # its status.json says so
        state, error = "failed", str(failure)
    except BaseException as failure:  # SystemExit, too: models and datasets are anyone's code
        state = "failed"
        log = "" if isinstance(failure, AdvtrainError) else traceback.format_exc()
        name = "" if isinstance(failure, AdvtrainError) else f"{type(failure).__name__}: "
        error = f"{path}: {name}{failure}"
        try:
            note_end(path, "failed", error.removeprefix(f"{path}: "), log, task["epochs"])
        except AdvtrainError as unwritten:
            error += f"; {unwritten}"
    _RUNNING.clear()
    sys.stdout.flush()
    sys.stderr.flush()
    reporter.tell("ended", state=state, error=" ".join(error.split()))
    if asked() or (state == "failed" and torch.cuda.is_available()):
        os._exit(0)  # after an error a GPU's context may be of no use to the next run


def _train(task: dict[str, Any], reporter: Reporter) -> None:
    from advtrain.tasks.train import train

    config = config_from_json(task)
    if progress_of(read_status(Path(task["path"]))) != tuple(task["seen"]):
        raise Busy(f"{task['path']}: another process has worked on this run meanwhile")
    with located(config):
        train(config, task["runs_dir"], device=task["device"], observer=reporter)
