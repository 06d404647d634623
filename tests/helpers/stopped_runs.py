"""Runs that Ctrl-C stops after an epoch or within one, who watches them, and the same undisturbed.

Many tests begin with the same run: it is trained once in a process and copied.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from advtrain import load_config, train
from advtrain.process.observer import Observer
from advtrain.records import EpochRecord

NORMED = ["model='import:normed:Net'", "model.args.width=4"]
BATCHES = 6  # an epoch of the tiny config

_trained: dict[object, Path] = {}


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


class Watch(Stop):
    """Ctrl-C at a batch; counts the batches that were trained."""

    def __init__(self, epoch: int = 99, batch: int = 0) -> None:
        super().__init__(epoch, batch)
        self.trained = 0

    def batch(self, done: int, batches: int) -> None:
        self.trained += 1
        super().batch(done, batches)


def stopped(config: Path, runs: Path, *keys: str, after: int = 2) -> Path:
    """The directory of a run that Ctrl-C ended after an epoch."""
    return stopped_at(config, runs, after, 0, *keys)


def stopped_at(config: Path, runs: Path, epoch: int, batch: int, *keys: str) -> Path:
    """The directory of a run that was stopped after a batch of the epoch after `epoch`.

    A run that is there goes on until it is stopped.
    """
    if runs.exists() and any(runs.glob("tiny/*")):
        return _stop(config, runs, (epoch, batch), keys)
    made = _once(config, (epoch, batch), keys)
    return shutil.copytree(made, runs / "tiny" / made.name)


def undisturbed(config: Path, *keys: str) -> Path:
    """The directory of the same run that nothing stopped; not to be changed."""
    return _once(config, None, keys)


def _once(config: Path, stop: tuple[int, int] | None, keys: Sequence[str]) -> Path:
    """The run of a config, of all that lies beside it and of these keys, trained if need be."""
    beside = [(file.name, file.read_bytes()) for file in sorted(config.parent.iterdir())
              if file.is_file()]  # fmt: skip
    key = (str(beside), stop, tuple(keys))
    if key not in _trained:
        runs = Path(tempfile.mkdtemp(prefix="trained-", dir=config.parent.parent))  # pytest's
        if stop:
            _trained[key] = _stop(config, runs, stop, keys)
        else:
            _trained[key] = train(load_config(config, keys), runs, device="cpu").dir
    return _trained[key]


def _stop(config: Path, runs: Path, stop: tuple[int, int], keys: Sequence[str]) -> Path:
    with pytest.raises(KeyboardInterrupt):
        train(load_config(config, keys), runs, device="cpu", observer=Stop(*stop))
    (run,) = runs.glob("tiny/*")
    return run
