"""A sweep's workers that write made-up runs, in the sweep's own process, and train nothing.

They stand in the place of `advtrain.sweep.launch.pool.Workers`. What a sweep plans, repeats, writes
and shows is so tested without other processes and without torch.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from advtrain.config.schema import Config
from advtrain.store.writer import RunDirectory, hold
from advtrain.sweep.launch.machine import Seat
from advtrain.sweep.plan import Planned
from advtrain.tasks.diagnose import diagnose_run
from tests.helpers.synthetic import learning, write_files

Event = dict[str, Any]
Curves = Mapping[str, np.ndarray]


def by_seed(config: Config) -> Curves:
    """Curves that come to rest, each seed's with a noise of its own."""
    return learning(config.training.epochs, 0.5, config.seed)


@dataclass
class Recipe:
    """What the made-up runs look like, and how they end: `finished`, or as failed with an error.

    `died` in place of an error is a worker that is gone.
    """

    curves: Callable[[Config], Curves] = by_seed
    ends: Callable[[Config], str] = lambda config: "finished"
    trained: list[str] = field(default_factory=list)  # the titles of the runs, in their order


@dataclass(eq=False)
class MadeWorker:
    """One of them, with the run that it is at."""

    run: Planned | None = None


class MadeWorkers:
    """They write a run's files as soon as they are given it, and tell of it afterwards."""

    recipe: ClassVar[Recipe] = Recipe()

    def __init__(self, seats: Sequence[Seat], directory: Path, argv: Sequence[str]) -> None:
        self.count = len(seats)
        self._workers = [MadeWorker() for _ in seats]
        self._events: deque[tuple[MadeWorker, Event]] = deque()
        self._stopping = False

    def idle(self) -> list[MadeWorker]:
        return [worker for worker in self._workers if worker.run is None]

    def busy(self) -> bool:
        return any(worker.run for worker in self._workers)

    def alive(self) -> bool:
        return bool(self._workers)

    def assign(self, worker: MadeWorker, run: Planned, runs_dir: Path) -> None:
        worker.run = run
        self._events += [(worker, event) for event in made(run, self.recipe)]

    def event(self, wait: float) -> tuple[MadeWorker, Event] | None:
        if not self._events:
            return None
        worker, event = self._events.popleft()
        if self._stopping and event["event"] in ("ended", "died"):
            self._workers.remove(worker)
        return worker, event

    def stop(self) -> None:
        self._stopping = True
        self._workers = [worker for worker in self._workers if worker.run]

    def kill(self) -> None:
        self._workers = []

    close = kill


def made(run: Planned, recipe: Recipe) -> list[Event]:
    """Write a run; what a worker would tell of it."""
    recipe.trained.append(run.title)
    curves, end = recipe.curves(run.config), recipe.ends(run.config)
    with hold(run.path) as directory:
        directory.begin(epochs=run.config.training.epochs)
        directory.log(f"attempt {directory.status.attempt}: from epoch 0")
        if end == "finished":
            finish(directory, run, curves)
        elif end != "died":
            directory.set_status(state="failed", error=end)
    robust, seconds = curves["test_robust_acc"], curves["seconds"]
    told: list[Event] = [{"event": "started", "epoch": 0}]
    told += [
        {"event": "epoch", "epoch": epoch, "robust": float(r), "seconds": float(s)}
        for epoch, (r, s) in enumerate(zip(robust, seconds, strict=True), 1)
    ]
    if end == "died":
        return [*told[:2], {"event": "died", "cause": "killed by SIGKILL", "tail": "last words"}]
    state, error = ("finished", "") if end == "finished" else ("failed", f"{run.path}: {end}")
    return [*told, {"event": "ended", "state": state, "error": error}]


def finish(directory: RunDirectory, run: Planned, curves: Curves) -> None:
    fields = write_files(run.path, run.config, curves)
    found = {name: fields[name] for name in ("epoch", "epochs", "best_epoch")}
    directory.set_status(state="finished", **found)
    verdict = diagnose_run(run.path).verdict.to_json()
    (run.path / "verdict.json").write_text(json.dumps(verdict))
