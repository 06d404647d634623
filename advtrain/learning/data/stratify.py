"""Parts of a labelled set that keep the proportions of its classes."""

from __future__ import annotations

import zlib

import numpy as np


def stratified(labels: np.ndarray, count: int, purpose: str) -> np.ndarray:
    """Sorted positions of `count` examples, each class in proportion (largest remainder).

    The choice depends on the labels and the purpose alone, never on a run's seed, and a larger
    count of the same purpose contains a smaller one but for rounding.
    """
    if not 0 <= count <= len(labels):
        raise ValueError(f"{count} of {len(labels)} examples")
    classes, sizes = np.unique(labels, return_counts=True)
    exact = sizes * count / max(1, len(labels))
    counts = np.floor(exact).astype(int)
    for index in np.argsort(counts - exact, kind="stable")[: count - counts.sum()]:
        counts[index] += 1
    # RandomState's stream is frozen by NumPy; newer generators may change theirs.
    random = np.random.RandomState(zlib.crc32(purpose.encode()))
    chosen = [
        random.permutation(np.flatnonzero(labels == c))[:n]
        for c, n in zip(classes, counts, strict=True)
    ]
    return np.sort(np.concatenate([np.empty(0, int), *chosen]))
