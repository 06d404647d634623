"""scikit-learn's digits with some training labels wrong: what drives overfitting is noise."""

import numpy as np
from sklearn.datasets import load_digits


def load(train: bool, wrong: float) -> tuple[np.ndarray, np.ndarray]:
    """1,437 training or 360 test images in [0, 1]; of the training labels `wrong` are random."""
    digits = load_digits()
    order = np.random.RandomState(0).permutation(len(digits.target))
    chosen = order[360:] if train else order[:360]
    images, labels = digits.images[chosen] / 16, digits.target[chosen]
    if train:
        random = np.random.RandomState(1)
        hit = random.rand(len(labels)) < wrong
        labels = np.where(hit, (labels + random.randint(1, 10, len(labels))) % 10, labels)
    return images.astype("float32"), labels
