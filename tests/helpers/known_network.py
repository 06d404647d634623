"""A network whose robust accuracy is known by hand, for the tests of `advtrain evaluate`.

Logits are 20 times the four pixels. The label's pixel is brighter than the next by a margin m, so
an image resists linf exactly if m > 2 eps, and l2 if m > sqrt(2) eps.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import torch

from tests.helpers.command_line import Done

MARGINS = (0.02, 0.1, 0.14, 0.3, 0.34, 0.4, 0.5, 0.6)  # of each class

MODULE = f"""\
import torch
from torch import nn

def load(train):
    images, labels = [], []
    for label in range(4):
        for margin in {MARGINS}:
            x = torch.zeros(4)
            x[label], x[(label + 1) % 4] = 0.5 + margin / 2, 0.5 - margin / 2
            images.append(x.view(1, 2, 2))
            labels.append(label)
    return torch.stack(images), torch.tensor(labels)

class Pixels(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(4, 4, bias=False))

class Rounded(Pixels):
    def forward(self, x):
        return super().forward((x * 255).round() / 255)

class Noisy(Pixels):
    def forward(self, x):
        return super().forward(x) + torch.randn(len(x), 4)

class Shares(Pixels):
    def forward(self, x):
        return super().forward(x).softmax(1)
"""

CONFIG = """\
name: pixels
model: {name: 'import:by_hand:Pixels', normalize: false}
dataset: {name: 'import:by_hand:load', val_size: 0.25}
attack: {eps: 0.1, steps: 4}
training: {epochs: 1, batch_size: 8, ema: 0.9}
evaluation: {steps: 5}
"""


def pixels_run(advtrain: Callable[..., Done], folder: Path, *overrides: str) -> Path:
    """A run of the network; its weights by hand are in `hand.pt` beside it, a state_dict."""
    (folder / "by_hand.py").write_text(MODULE)
    (folder / "pixels.yaml").write_text(CONFIG)
    before = set(folder.glob("runs/pixels/*"))
    done = advtrain("train", folder / "pixels.yaml", *overrides, "--quiet")
    assert done.code == 0, done.err
    by_hand(folder / "hand.pt", 20)
    (run,) = set(folder.glob("runs/pixels/*")) - before
    return run


def by_hand(file: Path, factor: float) -> None:
    """The weights whose logits are `factor` times the pixels."""
    torch.save({"1.weight": factor * torch.eye(4)}, file)


def table(run: Path) -> list[dict[str, str]]:
    """The rows of a run's evaluation.csv."""
    with (run / "evaluation.csv").open(newline="") as lines:
        return list(csv.DictReader(lines))


def accuracies(run: Path) -> dict[str, float]:
    """Accuracy by attack, of a run that was evaluated once."""
    return {row["attack"]: float(row["accuracy"]) for row in table(run)}
