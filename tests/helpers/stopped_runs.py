"""Runs that Ctrl-C stops after an epoch or within one, and who watches them."""

from __future__ import annotations

from pathlib import Path

import pytest

from advtrain import load_config, train
from advtrain.process.observer import Observer
from advtrain.records import EpochRecord

NORMED = ["model='import:normed:Net'", "model.args.width=4"]


class Stop(Observer):
    """Ctrl-C after an epoch, or at a batch of the epoch after it."""

    def __init__(self, epoch: int, batch: int = 0) -> None:
        self.at, self.now, self.warnings = (epoch, batch), 0, list[str]()

    def started(self, run: Path, config: object, rows: list[list[str]]) -> None:
        self.now = len(rows)

    def batch(self, done: int, batches: int) -> None:
        if (self.now, done) == self.at:
            raise KeyboardInterrupt

    def epoch(self, record: EpochRecord) -> None:
        self.now = record.epoch
        if (self.now, 0) == self.at:
            raise KeyboardInterrupt

    def warn(self, text: str) -> None:
        self.warnings.append(text)


def stopped(config: Path, runs: Path, *keys: str, after: int = 2) -> Path:
    """The directory of a run that Ctrl-C ended after an epoch."""
    with pytest.raises(KeyboardInterrupt):
        train(load_config(config, keys), runs, device="cpu", observer=Stop(after))
    (run,) = runs.glob("tiny/*")
    return run


BATCHES = 6  # an epoch of the tiny config


class Watch(Stop):
    """Ctrl-C at a batch; counts the batches that were trained."""

    def __init__(self, epoch: int = 99, batch: int = 0) -> None:
        super().__init__(epoch, batch)
        self.trained = 0

    def batch(self, done: int, batches: int) -> None:
        self.trained += 1
        super().batch(done, batches)


def stopped_at(config: Path, runs: Path, epoch: int, batch: int, *keys: str) -> Path:
    """The directory of a run that was stopped after a batch of the epoch after `epoch`."""
    with pytest.raises(KeyboardInterrupt):
        train(load_config(config, keys), runs, device="cpu", observer=Stop(epoch, batch))
    (run,) = runs.glob("tiny/*")
    return run
