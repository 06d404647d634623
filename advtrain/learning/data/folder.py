"""`image_folder`: a folder of class folders, grey or colour, split or not."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch

from advtrain.errors import SettingError
from advtrain.learning.data.decoding import decoder_for
from advtrain.learning.data.images import Streamed

_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".ppm", ".pgm", ".tif", ".tiff"}

_Files = list[tuple[Path, int]]


def image_folder(root: Path, image_size: int | None) -> tuple[Streamed, Streamed, int, str]:
    """Train and test set, number of classes, checksum over the files' names and sizes.

    With `train/` and `test/` each holds class folders. Otherwise root itself does, and a fifth
    of the files, chosen by a hash of their names, is the test set.
    """
    if not root.is_dir():
        raise SettingError("dataset.root", f"no folder {root}")
    halves = [(root / name).is_dir() for name in ("train", "test")]
    if any(halves) and not all(halves):
        raise SettingError("dataset.root", f"{root} has only one of the folders train and test")
    split = all(halves)
    base = root / "train" if split else root
    classes = _classes(base)
    if len(classes) < 2:
        raise SettingError(
            "dataset.root",
            f"expected a folder of images for each of two or more classes in {base}"
            + ("" if split else f", or in {root / 'train'} and {root / 'test'}"),
        )
    found = _files(base, classes)
    if split:
        strange = {*_classes(root / "test")} ^ {*classes}
        if strange:
            raise SettingError(
                "dataset.root",
                f"{root}: class folders not in both train and test: {', '.join(sorted(strange))}",
            )
        train, test = found, _files(root / "test", classes)
    else:
        test = [item for item in found if _held_out(item[0].relative_to(root))]
        train = [item for item in found if not _held_out(item[0].relative_to(root))]
    if not train or not test:
        raise SettingError("dataset.root", f"{root}: too few images to split into train and test")
    digest = hashlib.sha256()
    for file, _ in [*train, *test]:
        digest.update(f"{file.relative_to(root).as_posix()} {file.stat().st_size}\n".encode())
    decoder = decoder_for([file for file, _ in train], image_size)
    sets = [
        Streamed(
            tuple(file for file, _ in part),
            torch.tensor([label for _, label in part]),
            torch.arange(len(part)),
            decoder,
        )
        for part in (train, test)
    ]
    return sets[0], sets[1], len(classes), digest.hexdigest()


def _classes(base: Path) -> list[str]:
    """The names of the class folders."""
    return sorted(p.name for p in base.iterdir() if p.is_dir() and not p.name.startswith("."))


def _files(base: Path, classes: list[str]) -> _Files:
    """All images below the class folders, in a fixed order."""
    result = []
    for label, name in enumerate(classes):
        inside = (p for p in (base / name).rglob("*") if p.suffix.lower() in _ENDINGS)
        files = sorted(p for p in inside if p.is_file())
        if not files:
            raise SettingError("dataset.root", f"{base / name}: no images in this class folder")
        result += [(file, label) for file in files]
    return result


def _held_out(name: Path) -> bool:
    """A fifth of all names; adding a file moves no other."""
    return hashlib.sha256(name.as_posix().encode()).digest()[0] % 5 == 0
