"""A loaded dataset in two lines: how many images, and of which classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from advtrain.config.names import all_told, in_words


def described(
    shape: tuple[int, int, int], classes: Sequence[str], splits: dict[str, np.ndarray]
) -> list[str]:
    """Sentences about splits, each given by its name and the label of each of its images."""
    sizes = [f"{len(labels)} {name}" for name, labels in splits.items() if len(labels)]
    first = f"{', '.join(sizes[:-1])} and {sizes[-1]} images of {'x'.join(map(str, shape))}"
    whole = all_told(classes)
    counts = [
        f"{_counts(np.bincount(labels, minlength=len(classes)).tolist(), whole)} {name}"
        for name, labels in splits.items()
        if name != "validation"
    ]
    return [first, f"{in_words(classes)}; images a class: {', '.join(counts)}"]


def _counts(counts: list[int], whole: bool) -> str:
    """Images of each class: one number if all are equal, else each, or their range."""
    least, most = min(counts), max(counts)
    if least == most:
        return str(most)
    return "/".join(map(str, counts)) if whole else f"{least} to {most}"
