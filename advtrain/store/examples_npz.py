"""examples.npz: a few test images, and their perturbations at some stages. Imports no torch.

For N images and S of the stages `first`, `best` and `last` (those that there are, in this order):

    images             uint8 (N, C, H, W)     255 times the image, rounded
    label, index       int64 (N,)             true class; position in the test split
    norm               str ()                 linf or l2
    stage, epoch       str, int64 (S,)        the weights after this epoch
    eps, scale         float64 (S,)           the ball's radius; the largest |perturbation| there is
                                              (l2) or may be (linf: eps)
    delta              int8 (S, N, C, H, W)   127 times perturbation / scale, rounded
    clean_label, robust_label             int64 (S, N)      predicted class, before and after
    clean_confidence, robust_confidence   float32 (S, N)    the probability of that class

Large images are thinned to every k-th row and column, and the perturbations with them. A stage
is missing where its epoch was not reached, a figure was not finite, or a damaged file lost it.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from advtrain.errors import AdvtrainError, in_one_line

STAGES = ("first", "best", "last")
_LARGEST = 8 * 2**20  # bytes of a file, and of its content; what `train` writes is far below
# dtype and number of dimensions
_IMAGES = {"images": ("u1", 4), "label": ("i8", 1), "index": ("i8", 1)}
_STAGE = {
    "epoch": ("i8", 1), "eps": ("f8", 1), "scale": ("f8", 1), "delta": ("i1", 5),
    "clean_label": ("i8", 2), "clean_confidence": ("f4", 2),
    "robust_label": ("i8", 2), "robust_confidence": ("f4", 2),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class ShownStage:
    """What the evaluation's attack made of the images after an epoch; see the module."""

    epoch: int
    eps: float
    scale: float
    delta: np.ndarray  # int8 (N, C, H, W)
    clean_label: np.ndarray  # (N,)
    clean_confidence: np.ndarray
    robust_label: np.ndarray
    robust_confidence: np.ndarray

    @property
    def perturbation(self) -> np.ndarray:
        """(N, C, H, W) floats in units of the image's [0, 1]."""
        return np.asarray(self.delta * np.float64(self.scale / 127))


@dataclass(frozen=True, eq=False)
class Examples:
    """The images, and the stages that there are by name, in the order of STAGES."""

    norm: str
    images: np.ndarray  # uint8 (N, C, H, W)
    label: np.ndarray  # (N,)
    index: np.ndarray
    stages: dict[str, ShownStage] = field(default_factory=dict)

    @property
    def x(self) -> np.ndarray:
        """The images as floats in [0, 1]."""
        return self.images / 255

    def x_adv(self, stage: str) -> np.ndarray:
        """The adversarial examples of a stage, in [0, 1]."""
        return np.asarray(np.clip(self.x + self.stages[stage].perturbation, 0, 1))

    def put(
        self, name: str, epoch: int, eps: float, delta: np.ndarray, **answers: np.ndarray
    ) -> None:
        """Set a stage from its perturbation (N, C, H, W) and its labels and confidences (N,)."""
        scale = float(eps if self.norm == "linf" else np.abs(delta).max(initial=0))
        whole = np.rint(delta * (127 / scale)) if scale else np.zeros_like(delta)
        stage = ShownStage(epoch, eps, scale, np.clip(whole, -127, 127).astype(np.int8), **answers)
        present = self.stages | {name: stage}
        self.stages.clear()
        self.stages.update({each: present[each] for each in STAGES if each in present})

    def go_on(self, file: Path, epoch: int) -> None:
        """Take over the stages up to this epoch from the file, if there is one.

        AdvtrainError if it is damaged or about other images; nothing is taken over then.
        """
        found = read_examples(file)
        if found is None:
            return
        same = all(np.array_equal(getattr(found, n), getattr(self, n)) for n in ("norm", *_IMAGES))
        if not same:
            raise AdvtrainError(f"{file}: is about other images or another norm than this run")
        self.stages.update({n: s for n, s in found.stages.items() if s.epoch <= epoch})


def of_images(norm: str, x: np.ndarray, label: np.ndarray, index: np.ndarray) -> Examples:
    """Examples without a stage yet, of images (N, C, H, W) in [0, 1]."""
    return Examples(norm, np.rint(x * 255).astype(np.uint8), label, index)


def to_bytes(examples: Examples) -> bytes:
    """The file's content; the same for the same examples, as NumPy stamps no time on it."""
    stages = list(examples.stages.values())
    arrays: dict[str, Any] = {
        "norm": np.array(examples.norm),
        "stage": np.array(list(examples.stages)),
        **{name: getattr(examples, name).astype(kind) for name, (kind, _) in _IMAGES.items()},
        **{
            name: np.array([getattr(stage, name) for stage in stages], dtype=kind)
            for name, (kind, _) in _STAGE.items()
        },
    }
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def read_examples(file: Path) -> Examples | None:
    """The examples in a file, or None if it is not there; AdvtrainError if it is damaged."""
    try:
        if file.stat().st_size > _LARGEST:
            raise ValueError("far too large")
        return _examples(_arrays(file.read_bytes()))
    except FileNotFoundError:
        return None
    except Exception as error:  # damaged bytes raise anything: BadZipFile, zlib.error, TokenError
        raise AdvtrainError(
            f"{file}: cannot be read as example images ({in_one_line(error)}); it is damaged or "
            "something else"
        ) from None


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    """The arrays by name, without unpickling anything or unpacking more than is sensible."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(member.file_size for member in archive.infolist()) > _LARGEST:
            raise ValueError("unpacks to far too much")
        wanted = ("norm", "stage", *_IMAGES, *_STAGE)
        members = {name: io.BytesIO(archive.read(f"{name}.npy")) for name in wanted}
    return {n: np.lib.format.read_array(m, allow_pickle=False) for n, m in members.items()}


def _examples(arrays: dict[str, np.ndarray]) -> Examples:
    """Examples of arrays that fit each other; ValueError if they do not."""
    few = arrays["norm"].ndim == 0 and arrays["stage"].ndim == 1 and arrays["stage"].size <= 3
    _demand(few, "norm or stage: other shape")
    names, norm = [str(name) for name in arrays["stage"].tolist()], str(arrays["norm"])
    _demand(norm in ("linf", "l2") and names == [s for s in STAGES if s in names], "unknown names")
    for name, (kind, dimensions) in (_IMAGES | _STAGE).items():
        array = arrays[name]
        _demand(array.dtype == np.dtype(kind) and array.ndim == dimensions, f"{name}: other type")
    images = arrays["images"]
    for name, (_, dimensions) in _STAGE.items():
        shape = (len(names), *images.shape)[:dimensions]
        _demand(arrays[name].shape == shape, f"{name}: other shape")
    _demand(arrays["label"].shape == arrays["index"].shape == images.shape[:1], "other shapes")
    _demand(images.size > 0, "no images")
    _demand(bool((arrays["delta"] >= -127).all()), "delta: above scale")
    for name in ("label", "index", "epoch", "eps", "scale", "clean_label", "robust_label"):
        _demand(bool(np.isfinite(arrays[name]).all()), f"{name}: not finite")
        _demand(bool((arrays[name] >= 0).all()), f"{name}: below zero")
    for name in ("clean_confidence", "robust_confidence"):
        _demand(bool(((arrays[name] >= 0) & (arrays[name] <= 1)).all()), f"{name}: not in [0, 1]")
    stages = {
        stage: ShownStage(*(arrays[name][i].item() if dimensions == 1 else arrays[name][i]
                       for name, (_, dimensions) in _STAGE.items()))
        for i, stage in enumerate(names)
    }  # fmt: skip
    return Examples(norm, images, arrays["label"], arrays["index"], stages)


def _demand(sound: bool, otherwise: str) -> None:
    if not sound:
        raise ValueError(otherwise)
