"""A config whose network lies beside it, as case 15 of issue 19 has it, and ways to change it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.helpers.command_line import Done

CONFIG = """\
name: own
model: import:mynet:Net
dataset: {name: digits, train_size: 200}
attack: {eps: 0.1, steps: 1}
training: {epochs: 2}
evaluation: {size: 40, diagnostics: false}
"""
NET = """\
from torch import nn

import blocks

WIDTH = 8


def Net(num_classes):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(64, WIDTH), blocks.Activation(), nn.Linear(WIDTH, num_classes)
    )
"""
BLOCKS = "from torch import nn\n\nActivation = nn.ReLU\n"


def write_own(folder: Path, config: str = CONFIG) -> Path:
    """The config, with its network and a module that this imports."""
    folder.mkdir(exist_ok=True)
    (folder / "mynet.py").write_text(NET)
    (folder / "blocks.py").write_text(BLOCKS)
    (folder / "own.yaml").write_text(config)
    return folder / "own.yaml"


def change(file: Path, old: str, new: str) -> None:
    """Edit a file as `sed -i` does."""
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def forget_code(run: Path) -> None:
    """Make a run one of a version that noted neither code nor the times of files."""
    file = run / "provenance.json"
    record = json.loads(file.read_text())
    record["dataset_checksum"] = record["dataset_checksum"].partition("-")[0]
    del record["sources"], record["dataset_stamp"]
    file.write_text(json.dumps(record))


def refused(done: Done, *words: str) -> None:
    """The command ended with one line that has these words, and exit code 2."""
    assert done.code == 2 and done.out == "", done
    (line,) = done.err.splitlines()
    assert [word for word in words if word not in line] == [], line
