"""What the folders of an image folder are: splits, classes, or neither."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from advtrain.errors import SettingError

_SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}  # each also as train_set, TrainData, ...
_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".ppm", ".pgm", ".tif", ".tiff"}
_SYSTEM = {"__macosx", "__pycache__", "@eadir", "lost+found", "$recycle.bin", "thumbs.db",
           "desktop.ini"}  # fmt: skip
_NAMED = 6  # folders that an error names


@dataclass(frozen=True)
class Layout:
    """The folder that holds the class folders of each split; `test` is None without splits."""

    train: Path
    test: Path | None
    val: Path | None
    classes: tuple[str, ...]
    others: tuple[str, ...]  # folders beside the splits, which are not read


def layout_of(root: Path) -> Layout:
    """Find splits and classes below `root`; SettingError about dataset.root where that fails."""
    splits = _splits(root)
    if not {"train", "test"} <= splits.keys():
        if splits.keys() & {"train", "test"} and not _is_class(root, splits):
            raise _bad(_half(root, splits))
        splits = {}
    base = splits.get("train", root)
    classes = folders_in(base)
    if len(classes) < 2:
        raise _bad(_too_few(root, base))
    if not splits and (equal := _alike(root, classes)):
        raise _bad(equal)
    for split in splits.values():
        if strange := {*folders_in(split)} ^ {*classes}:
            both = f"{base.name} and {split.name}"
            raise _bad(f"{root}: class folders not in both {both}: {', '.join(sorted(strange))}")
    known = {split.name for split in splits.values()}
    others = [name for name in folders_in(root) if name not in known] if splits else []
    return Layout(base, splits.get("test"), splits.get("val"), tuple(classes), tuple(others))


def is_hidden(name: str) -> bool:
    """Whether a file or folder belongs to the system or an editor, by its name."""
    return name.startswith(".") or name.casefold() in _SYSTEM


def is_image(name: str) -> bool:
    """Whether a file has the ending of an image."""
    return PurePath(name).suffix.lower() in _ENDINGS


def folders_in(base: Path) -> list[str]:
    """Names of the folders in this one that are not hidden, sorted."""
    with os.scandir(base) as entries:
        return sorted(e.name for e in entries if e.is_dir() and not is_hidden(e.name))


def images_in(base: Path) -> int:
    """How many images lie in this folder itself."""
    with os.scandir(base) as entries:
        return sum(is_image(e.name) and not is_hidden(e.name) and e.is_file() for e in entries)


def _splits(root: Path) -> dict[str, Path]:
    """The folders named as splits, in any usual spelling."""
    found: dict[str, Path] = {}
    for name in folders_in(root):
        word = name.casefold().removesuffix("set").removesuffix("data").rstrip("_- ")
        split = _SPLITS.get(word)
        if split in found:
            both = f"{found[split].name} and {name}"
            raise _bad(f"{root}: the folders {both} are both named as the {split} split; keep one")
        if split:
            found[split] = root / name
    return found


def _is_class(root: Path, splits: dict[str, Path]) -> bool:
    """Whether the one folder named as a split is a class of several: trains, for example."""
    return len(splits) == 1 < len(folders_in(root)) and all(map(images_in, splits.values()))


def _half(root: Path, splits: dict[str, Path]) -> str:
    """Only one of train and test is there."""
    there = " and ".join(folder.name for folder in splits.values())
    text = f"{root} has only one of the folders train and test (it has {there})"
    if {"train", "val"} == splits.keys():
        text += f"; rename {splits['val'].name} to test to test on its images"
    return text


def _too_few(root: Path, base: Path) -> str:
    """Fewer than two class folders, and where they may be instead."""
    text = f"expected a folder of images for each of two or more classes in {base}"
    if base == root:
        text += f", or in {root / 'train'} and {root / 'test'}"
    deeper, inside = base, folders_in(base)
    while len(inside) == 1:  # a folder around the others, as archives have it
        deeper = deeper / inside[0]
        inside = folders_in(deeper)
    if inside and base == root:
        return f"{text}; set dataset.root to {deeper}"
    if inside:
        return f"{text}; move the folders in {deeper} up to it"
    return f"{text}; its images lie in no class folder" if images_in(base) else text


def _alike(root: Path, classes: list[str]) -> str:
    """What to say where class folders hold folders of equal names, as splits do; mostly empty."""
    inside = {name: folders_in(root / name) for name in classes}
    for names in inside.values():
        twins = [name for name in classes if inside[name] == names]
        if len(names) > 1 and len(twins) > 1:
            return (
                f"{root}: the folders {_some(twins)} hold folders of equal names ({_some(names)}), "
                "as splits do and classes do not; name the splits train and test, with the class "
                "folders inside"
            )
    return ""


def _some(names: Sequence[str]) -> str:
    return ", ".join([*names[:_NAMED], "..."] if len(names) > _NAMED else names)


def _bad(text: str) -> SettingError:
    return SettingError("dataset.root", text)
