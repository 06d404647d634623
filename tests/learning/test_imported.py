"""Data from functions of one's own: taken rightly, or refused in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset

from advtrain.config.schema import Dataset
from advtrain.errors import SettingError
from advtrain.learning.data import imported as imported_module
from advtrain.learning.data.splits import Data, load_data

X = np.random.RandomState(0).rand(60, 8, 8).astype(np.float32)
Y = np.arange(60) % 4


def load(monkeypatch: pytest.MonkeyPatch, train: Any, test: Any) -> Data:
    """The data of a function that returns these."""
    monkeypatch.setattr(
        imported_module, "import_attribute", lambda *_: lambda train: parts[not train]
    )
    parts = (train, test)
    dataset = Dataset.model_validate({"name": "import:own:f"}, context={"check_imports": False})
    return load_data(dataset, torch.device("cpu"))


def with_labels(labels: Any) -> tuple[Any, Any]:
    return (X[:40], labels[:40]), (X[40:], labels[40:])


def with_images(images: Any) -> tuple[Any, Any]:
    return (images[:40], Y[:40]), (images[40:], Y[40:])


def nan() -> np.ndarray:
    spoilt = X.copy()
    spoilt[3, 2, 1] = np.nan
    return spoilt


@pytest.mark.parametrize(
    "parts",
    [
        with_labels(list(Y)), with_labels(pd.Series(Y)), with_labels(Y.astype(">i2")),
        with_labels(Y.astype(np.uint64)), with_labels(torch.from_numpy(Y).int()),
        with_images(X[:, ::-1, ::-1]), with_images(X.astype(">f8")), with_images(X[:, None]),
        with_images((X * 255).astype(np.uint8)), with_images(torch.from_numpy(X).half()),
        with_images([Image.fromarray((x * 255).astype(np.uint8)) for x in X]),
    ],
)  # fmt: skip
def test_arrays_of_any_kind_are_taken(monkeypatch: pytest.MonkeyPatch, parts: Any) -> None:
    data = load(monkeypatch, *parts)
    assert (data.shape, data.num_classes, len(data.train)) == ((1, 8, 8), 4, 36)
    assert data.notes == (
        "36 training, 4 validation and 20 test images of 1x8x8",
        "4 classes: 0 to 3; images a class: 9 training, 5 test",
    )
    assert not data.warnings


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (with_labels(Y + 1), "no training image has label 0: labels count from 0 without gaps, and "
         "these go from 1 to 4"),
        (with_labels(Y * 2), "no training image has label 1, 3, 5: labels count from 0"),
        (with_labels(Y * 10**9), "no training image has label 1, 2, 3, 4, 5, 6, 7, 8, ...: "),
        (with_labels(Y * 0), "expected two or more classes, but every training label is 0"),
        (with_labels(Y.astype(float)), "expected whole labels, got torch.float64; convert them"),
        (with_labels(np.eye(4)[Y]), "expected n labels, got (40, 4); of one-hot labels take arg"),
        (with_labels(Y[:, None]), "expected n labels, got (40, 1); take labels.reshape(-1)"),
        (with_labels(np.array(["a", "b", "c", "d"])[Y]), "its labels are text such as 'a'"),
        (with_labels(pd.Categorical(np.array(["a", "b", "c", "d"])[Y])), "its labels are text"),
        (((X[:40], Y[:40] % 3), (X[40:], Y[40:])), "test images have label 3, which no training"),
        (((X[:40], Y[:40]), (X[40:], None)), "its labels are a NoneType"),
        (with_images(X[..., None].repeat(3, -1)), "images (40, 8, 8, 3) have their channels last"),
        (with_images(X[..., None]), "images (40, 8, 8, 1) have their channels last"),
        (with_images(X * 255), "float images must lie in [0, 1], and these in [0.0"),
        (with_images(X * 2 - 1), "; take (x + 1) / 2: the model's first layer normalises"),
        (with_images((X - 0.13) / 0.3), "; leave normalisation to the model's first layer"),
        (with_images(X * 1.05), "; clip them"),
        (with_images((X * 255).astype(int)), "expected uint8 images, or floats in [0, 1]"),
        (with_images(nan()), "1 of 40 images have pixels that are NaN or infinite"),
        (with_images(X.transpose(1, 2, 0)), "got (8, 8, 60) and (40,)"),
        (((X[:40], Y[:40]), (nan()[:20], Y[40:])), "NaN or infinite (from train=False)"),
        (((X, Y), (X[:0], Y[:0])), "got (0, 8, 8) and (0,) (from train=False)"),
        (({"x": X, "y": Y}, None), "two arrays, got dict"),
        ((TensorDataset(torch.zeros(2), torch.zeros(2)), None), "two arrays, got TensorDataset"),
        (((X, Y, 1), None), "two arrays, got tuple of 3"),
        ((((X, Y), (X[:9], Y[:9])), None), "its images are a tuple of parts that differ in shape"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_on_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, parts: Any, said: str
) -> None:
    with pytest.raises(SettingError) as error:
        load(monkeypatch, *parts)
    assert said in error.value.text and "\n" not in str(error.value)
    assert str(error.value).startswith("dataset.name: import:own:f: ")


@pytest.mark.parametrize(
    "parts", [with_images(X / 255), with_images((X > 0.5).astype(np.uint8)),
              ((X[:40], Y[:40]), (X[40:] / 255, Y[40:]))],
)  # fmt: skip
def test_pixels_divided_by_255_twice_are_refused(
    monkeypatch: pytest.MonkeyPatch, parts: Any
) -> None:
    with pytest.raises(SettingError, match="they were divided by 255 twice, or are uint8 from 0"):
        load(monkeypatch, *parts)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (with_images((X * 16).astype(np.uint8)), "no pixel of the training images is above 0.05"),
        (((X[:40], Y[:40]), (X[40:], Y[40:] % 3)), "no test image is of class 3"),
        (((X[40:], Y[40:]), (X[:40], Y[:40])), "larger than the training set (20): are they swap"),
        (((X, Y), (X[:30], Y[:30])), "30 of 30 test images are training images, too"),
        (with_images(X[:, None].repeat(3, 1)), "the images are grey in three equal channels"),
        (with_images(X * 0 + 0.5), "every pixel of the training images is 0.5"),
    ],
)
def test_what_is_seldom_meant_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, parts: Any, said: str
) -> None:
    warnings = load(monkeypatch, *parts).warnings
    assert any(said in warning for warning in warnings)
    assert all(warning.startswith("dataset.name: ") for warning in warnings)
