"""Tables of epochs drawn from straight lines, and the config that a verdict may know."""

from __future__ import annotations

import numpy as np

from advtrain.config.schema import Config
from advtrain.config.validation import problems_of
from advtrain.diagnosis.table import Labels, Table

LN10 = np.log(10)


def config(**sections) -> Config:
    found, problems = problems_of({"model": "small_cnn", "dataset": "digits", **sections})
    assert found is not None, problems
    return found


def curve(*pieces: tuple[int, float, float]) -> np.ndarray:
    """Straight lines joined: (epochs, from, to)."""
    return np.concatenate([np.linspace(a, b, n) for n, a, b in pieces])


def table(train, acc, seed=0, test=None, noise=0.0075, known: Config | None = None, **columns):
    """A training whose other columns follow from these."""
    draw, n = np.random.default_rng(seed), len(train)
    test = train + 0.3 if test is None else test
    return Table(
        np.arange(1, n + 1),
        {
            "train_robust_loss": train + draw.normal(0, 0.003, n),
            "train_robust_acc": np.clip(1 - train / 2.6, 0.1, 1),
            "test_robust_loss": test + draw.normal(0, 0.008, n),
            "test_robust_acc": np.clip(acc + draw.normal(0, noise, n), 0, 1),
            "test_fgsm_acc": np.clip(acc + 0.08, 0, 1),
            "test_clean_loss": test - 0.5,
            "test_robust_loss_2x": test + 0.01,
            **columns,
        },
        config=known,
        labels=Labels.balanced(10),
        images=10_000,
    )
