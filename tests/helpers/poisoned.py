"""A network whose logits are no longer finite once a file is there."""

from __future__ import annotations

from pathlib import Path

from advtrain.process.observer import Observer
from advtrain.records import EpochRecord

POISONED = """\
from pathlib import Path
from torch import nn

POISON = Path(__file__).with_name("poison")

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 10))

    def forward(self, x):
        return super().forward(x) * (float("nan") if POISON.exists() else 1)
"""


class Poison(Observer):
    """From the third epoch on the network's logits are not finite."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def epoch(self, record: EpochRecord) -> None:
        if record.epoch == 2:
            self.file.touch()
