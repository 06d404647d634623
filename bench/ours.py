"""advtrain as a user runs it: `train(config)` with its data, files, metrics and console."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console

from advtrain.config.load import load_config
from advtrain.config.optimization import Sgd
from advtrain.config.schema import Config
from advtrain.learning.attacks.ball import Ball
from advtrain.learning.attacks.evaluating import EvaluatingAttack
from advtrain.learning.attacks.pgd import pgd
from advtrain.learning.data.images import Resident
from advtrain.learning.device import keep_memory
from advtrain.learning.measuring.score import evaluate
from advtrain.learning.models import build_model
from advtrain.learning.optimizer import build_optimizer
from advtrain.learning.streams import seed_of
from advtrain.process.observer import Observer
from advtrain.records import EpochRecord, Row
from advtrain.tasks.train import train
from advtrain.terminal.live import LiveTable
from bench.workloads import TEST, Workload, floats, images

CONFIG = """\
model: {w.model}
dataset:
  name: import:bench.workloads:arrays
  args: {{dataset: {w.dataset}, count: {count}, test: {test}}}
  val_size: {val}
attack: {{eps: {w.eps}, steps: {w.steps}}}
optimizer: {{lr: {w.lr}}}
schedule: constant
training: {{epochs: {epochs}, batch_size: {w.batch}}}
"""


class Stopwatch(Observer):
    """Passes events on to the console, and times training and what surrounds it from outside."""

    def __init__(self, inner: Observer) -> None:
        self.inner = inner
        self.training = self.around = 0.0
        self.records: list[EpochRecord] = []
        self._mark = 0.0

    def started(self, run: Path, config: Config, rows: list[Row]) -> None:
        """The first epoch begins."""
        self.inner.started(run, config, rows)
        self._mark = time.perf_counter()

    def batch(self, done: int, batches: int) -> None:
        """At the last batch training ends and measuring begins."""
        self.inner.batch(done, batches)
        if done == batches:
            now = time.perf_counter()
            self.training, self._mark = self.training + now - self._mark, now

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is measured, saved and shown."""
        self.inner.epoch(record)
        now = time.perf_counter()
        self.around, self._mark = self.around + now - self._mark, now
        self.records.append(record)


def run(config_text: str, *overrides: str) -> Stopwatch:
    """Train in a directory that is thrown away, with the live table drawn to nowhere."""
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        file = Path(folder) / "bench.yaml"
        file.write_text(config_text)
        table = LiveTable(Console(file=nowhere, force_terminal=True, width=100))
        watch = Stopwatch(table)
        with table.live:
            train(load_config(file, list(overrides)), Path(folder) / "runs", observer=watch)
        return watch


def one_round(workload: Workload, *overrides: str) -> dict[str, float]:
    """Images a second, from outside and by our own column, with the least of evaluations."""
    text = CONFIG.format(w=workload, epochs=workload.epochs, count=workload.count, test=16, val=0)
    least = [f"evaluation.steps={workload.steps}", "diagnostics=false"]
    watch = run(text, *least, *overrides)
    own = [record.images_per_second or 0.0 for record in watch.records]
    return {"seconds": watch.training, "own": len(own) / sum(1 / v for v in own)}


def loop_alone(workload: Workload) -> Callable[[], None]:
    """The same passes by the same functions, without metrics, console, files and random starts.

    What is missing to `one_round` is what these cost inside an epoch.
    """
    torch.manual_seed(seed_of(0, "init"))
    model = build_model(workload.model, in_shape=workload.shape, num_classes=10)
    model.to(memory_format=torch.channels_last).train()
    optimizer = build_optimizer(model, Sgd(lr=workload.lr))
    keep_memory(torch.device("cpu"))
    images, labels = floats(workload)
    batches = list(zip(images.split(workload.batch), labels.split(workload.batch), strict=True))
    attack = partial(
        pgd, model, norm="linf", eps=workload.eps, alpha=workload.alpha, steps=workload.steps,
        start="zero",
    )  # fmt: skip

    def go() -> None:
        for _ in range(workload.epochs):
            for x, y in batches:
                loss = F.cross_entropy(model(attack(x, y)), y)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

    return go


def surroundings(workload: Workload) -> dict[str, float]:
    """Seconds that an epoch costs besides training, and those of training on 60,000 images.

    Everything is measured that is by default: 1,000 images each of val and test.
    """
    text = CONFIG.format(w=workload, epochs=1, count=2 * TEST, test=TEST, val=0.5)
    watch = run(text, f"evaluation.steps={max(20, workload.steps)}")
    (record,) = watch.records
    return {"around": watch.around, "training": 60_000 / (record.images_per_second or 0.0)}


def evaluation(workload: Workload) -> dict[str, float]:
    """Seconds an image and pass of an evaluation at PGD-20, on `workload.evaluated` images."""
    model = build_model(workload.model, in_shape=workload.shape, num_classes=10)
    model.to(memory_format=torch.channels_last)
    x, y, _ = images(workload.dataset, workload.evaluated)
    held_out = Resident(x, y, torch.arange(len(y)))
    keep_memory(torch.device("cpu"))
    attack = EvaluatingAttack(Ball("linf", workload.eps), 20)
    measure = partial(evaluate, model, held_out, attack)
    began = time.perf_counter()
    measure()
    return {"seconds": (time.perf_counter() - began) / len(y) / 21}
