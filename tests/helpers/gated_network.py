"""A network that waits in a batch until it may go on, and raises signals when it is told to."""

from __future__ import annotations

import signal
import sys

from advtrain.process.observer import Observer

NET = '''\
"""Waits in one training batch until it may go on; raises a signal when it is told to."""

import signal, time
from pathlib import Path
from torch import nn

HERE = Path(__file__).parent
told = []  # signals to raise in the next pass
swallows = False


class Net(nn.Sequential):
    def __init__(self, in_shape, num_classes, at=0):
        super().__init__(
            nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.1), nn.Linear(16, num_classes)
        )
        self.at, self.calls = at, 0

    def forward(self, x):
        self.calls += self.training  # once a batch
        if self.training and self.calls == self.at:
            (HERE / "reached").touch()
            while not (HERE / "gate").exists():
                time.sleep(0.01)
        try:
            while told:
                signal.raise_signal(told.pop())
        except KeyboardInterrupt:
            if not swallows:
                raise
        return super().forward(x)
'''


GATED = ["model='import:gated:Net'"]


SIGNALS = [signal.SIGINT, signal.SIGTERM]


class Tell(Observer):
    """After a batch of the first epoch, lets the network raise a signal in its next pass."""

    def __init__(self, number: signal.Signals, batch: int, swallows: bool = False) -> None:
        self.number, self.at, self.swallows = number, batch, swallows

    def batch(self, done: int, batches: int) -> None:
        if done == self.at:
            gated = sys.modules["gated"]
            vars(gated)["swallows"] = self.swallows
            gated.told.append(self.number)
            self.at = 0
