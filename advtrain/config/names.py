"""What can be named in a config: models and datasets, with their arguments. Imports no torch.

The code behind each name is found by its `builder` path and imported only when it is used.
"""

from __future__ import annotations

import difflib
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from advtrain.config.section import Count, Number
from advtrain.errors import described, in_one_line

_IN_FULL = 12  # classes whose names are told


class Args(BaseModel):
    """The arguments that a built-in model takes under `model.args`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MlpArgs(Args):
    """Arguments of `mlp`."""

    width: Annotated[Count, Field(ge=1)] = Field(256, description="units of each hidden layer")
    depth: Annotated[Count, Field(ge=1, le=1000)] = Field(2, description="hidden layers")


class LstmArgs(Args):
    """Arguments of `lstm`."""

    hidden: Annotated[Count, Field(ge=1)] = Field(128, description="units of the recurrent state")
    layers: Annotated[Count, Field(ge=1, le=1000)] = Field(1, description="stacked LSTM layers")


class WideResNetArgs(Args):
    """Arguments of `wide_resnet`."""

    depth: Annotated[Count, Field(ge=10, le=10_000)] = Field(
        34, description="layers, of the form 6n + 4"
    )
    width: Annotated[Count, Field(ge=1)] = Field(10, description="widening factor")
    dropout: Annotated[Number, Field(ge=0, lt=1)] = Field(
        0.0, description="dropout inside each block"
    )

    @field_validator("depth")
    @classmethod
    def _form(cls, depth: int) -> int:
        if depth % 6 != 4:
            raise ValueError(f"expected 6n + 4 layers (10, 16, 22, 28, 34, ...), got {depth}")
        return depth


@dataclass(frozen=True)
class ModelInfo:
    """A built-in model: one line about it, where its builder is, what it takes."""

    doc: str
    builder: str
    args: type[Args] = Args


MODELS: dict[str, ModelInfo] = {
    "small_cnn": ModelInfo(
        "two 3x3 convolutions (16, 32) and 64 hidden units: the digits network",
        "advtrain.learning.models.cnn:small_cnn",
    ),
    "madry_cnn": ModelInfo(
        "two 5x5 convolutions (32, 64) and 1024 hidden units (Madry et al. 2018, MNIST)",
        "advtrain.learning.models.cnn:madry_cnn",
    ),
    "mlp": ModelInfo("fully connected, ReLU", "advtrain.learning.models.mlp_lstm:mlp", MlpArgs),
    "lstm": ModelInfo(
        "recurrent: the image's rows as a sequence",
        "advtrain.learning.models.mlp_lstm:Lstm",
        LstmArgs,
    ),
    "preact_resnet18": ModelInfo(
        "pre-activation ResNet-18 for small images (He et al. 2016; Rice et al. 2020)",
        "advtrain.learning.models.resnet:preact_resnet18",
    ),
    "wide_resnet": ModelInfo(
        "wide residual network (Zagoruyko & Komodakis 2016)",
        "advtrain.learning.models.resnet:wide_resnet",
        WideResNetArgs,
    ),
}


@dataclass(frozen=True)
class DatasetInfo:
    """A built-in dataset: its size, and for downloads the torchvision class and the files."""

    doc: str
    shape: tuple[int, int, int]  # channels, height, width
    classes: int
    train: int
    test: int
    torchvision: str = ""
    files: str = ""  # under dataset.root, for those who must bring them by hand
    named: str = ""  # the classes in their order, where they are more than numbers

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes in the order of their labels."""
        return tuple(self.named.split(", ") if self.named else map(str, range(self.classes)))


def _idx(folder: str) -> str:
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return ", ".join(f"{folder}/raw/{name}-ubyte.gz" for name in names)


DATASETS: dict[str, DatasetInfo] = {
    "digits": DatasetInfo(
        "scikit-learn's handwritten digits; comes with the installation",
        (1, 8, 8), 10, 1437, 360,
    ),
    "mnist": DatasetInfo(
        "handwritten digits", (1, 28, 28), 10, 60_000, 10_000, "MNIST", _idx("MNIST")
    ),
    "fashion_mnist": DatasetInfo(
        "articles of clothing", (1, 28, 28), 10, 60_000, 10_000, "FashionMNIST",
        _idx("FashionMNIST"),
        "T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot",
    ),
    "kmnist": DatasetInfo(
        "handwritten kuzushiji", (1, 28, 28), 10, 60_000, 10_000, "KMNIST", _idx("KMNIST"),
        "o, ki, su, tsu, na, ha, ma, ya, re, wo",
    ),
    "cifar10": DatasetInfo(
        "small photographs", (3, 32, 32), 10, 50_000, 10_000, "CIFAR10",
        "cifar-10-python.tar.gz",
        "airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck",
    ),
    "cifar100": DatasetInfo(
        "small photographs, fine labels", (3, 32, 32), 100, 50_000, 10_000, "CIFAR100",
        "cifar-100-python.tar.gz",
    ),
    "svhn": DatasetInfo(
        "street view house numbers", (3, 32, 32), 10, 73_257, 26_032, "SVHN",
        "train_32x32.mat, test_32x32.mat",
    ),
}  # fmt: skip


def in_words(classes: Sequence[str]) -> str:
    """How many classes, and their names."""
    names = ", ".join(classes) if all_told(classes) else f"{classes[0]} to {classes[-1]}"
    return f"{len(classes)} classes: {names}"


def all_told(classes: Sequence[str]) -> bool:
    """Whether all are named, and not the first and the last alone."""
    numbers = [str(label) for label in range(len(classes))]
    return len(classes) <= _IN_FULL and [*classes] != numbers


def known_model(name: str, check_imports: bool = True) -> str:
    """The name, or ValueError with the nearest known one."""
    return _known(name, list(MODELS), ["torchvision:NAME"], check_imports)


def known_dataset(name: str, check_imports: bool = True) -> str:
    """The name, or ValueError with the nearest known one."""
    return _known(name, [*DATASETS, "image_folder"], [], check_imports)


def _known(name: str, names: list[str], forms: list[str], check_imports: bool) -> str:
    if name.startswith("import:"):
        if check_imports:
            check_import(name)
    elif name not in names and not any(
        name.startswith(f.partition(":")[0] + ":") and not name.endswith(":") for f in forms
    ):
        expected = ", ".join([*names, *forms, "import:package.module:attribute"])
        raise ValueError(f"{name!r} is not known{did_you_mean(name, names)}; expected {expected}")
    return name


def did_you_mean(word: str, words: Iterable[str], prefix: str = "") -> str:
    """`, did you mean ...?` with the nearest of the words, or nothing."""
    near = difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)
    return f", did you mean {prefix}{near[0]}?" if near else ""


def check_import(name: str) -> None:
    """Raise ValueError unless `import:package.module:attribute` names a module that is there.

    The module itself is not executed (it may import torch), its parent packages are.
    """
    module, colon, attribute = name.removeprefix("import:").partition(":")
    if not colon or not module or not attribute.isidentifier():
        raise ValueError(f"expected import:package.module:attribute, got {name!r}")
    try:
        found = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError) as error:
        raise ValueError(f"cannot import {module!r}: {in_one_line(error)}") from None
    except (Exception, SystemExit) as error:  # the packages are the user's: anything may happen
        raise ValueError(f"importing {module!r} raised {described(error)}") from None
    if not found:
        raise ValueError(f"no module {module!r} in the config's folder or on the Python path")


def module_of(name: str) -> str:
    """The module of `import:package.module:attribute`."""
    return name.removeprefix("import:").partition(":")[0]


_FOLDERS: set[str] = set()  # that were made importable


def make_importable(folder: Path) -> None:
    """Let `import:` find modules beside the config; installed packages go first.

    Of several configs' folders the latest goes before the others.
    """
    place = str(folder.resolve())
    if place in sys.path and place not in _FOLDERS:
        return
    _FOLDERS.add(place)
    others = [each for each in sys.path if each in _FOLDERS and each != place]
    sys.path[:] = [*(each for each in sys.path if each not in _FOLDERS), place, *others]
