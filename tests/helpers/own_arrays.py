"""A dataset of the user's own: a function that reads a file beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

LOAD = """\
from pathlib import Path
import numpy as np

def load(train):
    with np.load(Path(__file__).with_name("mine.npz")) as file:
        return file["images"], file["labels"]
"""
FUNCTION = "dataset=import:mine:load"


def write_arrays(folder: Path, labels: np.ndarray) -> None:
    images = np.random.default_rng(0).random((len(labels), 4, 4), dtype=np.float32)
    np.savez(folder / "mine.npz", images=images, labels=labels)


def write_function(config: Path) -> None:
    """Let a config take its images from such a function, written beside it."""
    config.with_name("mine.py").write_text(LOAD)
    write_arrays(config.parent, np.arange(60) % 3)
    text = config.read_text()
    config.write_text(text.replace("{name: digits, train_size: 200}", "import:mine:load"))
