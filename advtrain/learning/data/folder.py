"""`image_folder`: a folder of class folders, grey or colour, split or not."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import torch

from advtrain.errors import SettingError
from advtrain.learning.data.class_folders import Layout, images_in, is_hidden, is_image, layout_of
from advtrain.learning.data.decoding import Decoder, decoder_for
from advtrain.learning.data.images import Source, Streamed

_READ = 2**30  # bytes at most that a checksum reads: of a larger folder every Nth file

_Files = list[tuple[Path, int]]


def image_folder(root: Path, image_size: int | None) -> Source:
    """The dataset in a folder, with a checksum of the files' names, sizes and contents.

    With `train/` and `test/`, in any usual spelling, each holds class folders, and so may `val/`.
    Otherwise root itself does, and a fifth of the files, chosen by a hash of their names, is the
    test set. Raises SettingError, or OSError for what cannot be read.
    """
    if not root.is_dir():
        raise SettingError("dataset.root", f"no folder {root}")
    layout, walk = layout_of(root), _Walk()
    train, val = _files(layout.train, layout, walk), None
    if layout.test is None:
        test = [item for item in train if _held_out(item[0].relative_to(root))]
        train = [item for item in train if not _held_out(item[0].relative_to(root))]
    else:
        test = _files(layout.test, layout, walk)
    if layout.val is not None:
        val = _files(layout.val, layout, walk)
    if not train or not test:
        raise SettingError("dataset.root", f"{root}: too few images to split into train and test")
    checksum = _checksum(root, [file for file, _ in [*train, *test, *(val or [])]])
    decoder = decoder_for([file for file, _ in train], image_size)
    alpha = ["the images' alpha channel is left out"] if decoder.alpha else []
    return Source(
        _streamed(train, decoder), _streamed(test, decoder), decoder.shape, layout.classes,
        checksum, None if val is None else _streamed(val, decoder),
        (_reading(root, layout), *walk.notes(), *alpha), _unread(root, layout),
    )  # fmt: skip


@dataclass
class _Walk:
    """Files in class folders that need a word."""

    hidden: list[Path] = field(default_factory=list)  # images in name only, such as ._0.png
    strange: list[Path] = field(default_factory=list)  # without an image's ending
    nested: list[Path] = field(default_factory=list)  # in folders inside a class folder

    def notes(self) -> list[str]:
        """A sentence for each kind of file that there is."""
        kinds = {
            "hidden files are left out": self.hidden,
            "files that are no images are left out": self.strange,
            "images in folders inside a class folder count for the class": self.nested,
        }
        return [
            f"{said} ({len(files)}, such as {files[0]})" for said, files in kinds.items() if files
        ]


def _reading(root: Path, layout: Layout) -> str:
    """How the folders were read."""
    if layout.test is None:
        return f"{root}: its folders are classes; a fifth of the images is the test set"
    splits = {"training": layout.train, "validation": layout.val, "test": layout.test}
    said = [f"{split.name} for {use}" for use, split in splits.items() if split is not None]
    return f"{root}: {', '.join(said)}"


def _unread(root: Path, layout: Layout) -> tuple[str, ...]:
    """What lies where no images are expected."""
    splits = [split for split in (layout.train, layout.val, layout.test) if split is not None]
    found = [
        f"dataset.root: {split}: images outside of its class folders are left out ({count})"
        for split in splits
        if (count := images_in(split))
    ]
    if layout.others:
        others = ", ".join(layout.others)
        found.append(f"dataset.root: {root}: folders beside the splits are left out: {others}")
    return tuple(found)


def _streamed(files: _Files, decoder: Decoder) -> Streamed:
    labels = torch.tensor([label for _, label in files])
    return Streamed(tuple(file for file, _ in files), labels, torch.arange(len(files)), decoder)


def _files(base: Path, layout: Layout, walk: _Walk) -> _Files:
    """All images below the class folders with their labels, in a fixed order."""
    result = []
    for label, name in enumerate(layout.classes):
        files = sorted(_below(base / name, walk))
        if not files:
            raise SettingError("dataset.root", f"{base / name}: no images in this class folder")
        result += [(file, label) for file in files]
    return result


def _below(folder: Path, walk: _Walk) -> list[Path]:
    """The images in a folder and in those inside it; links are followed, each folder once."""
    found, seen, outside = [], set[str](), Path(os.path.realpath(folder)).parents
    for here, folders, names in os.walk(folder, onerror=_raise, followlinks=True):
        inside = Path(here).relative_to(folder).parts
        real = os.path.realpath(here)
        if Path(real) in outside:
            raise SettingError("dataset.root", f"{here}: a link to a folder that holds it")
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        hidden = any(map(is_hidden, inside))
        for name in names:
            file = Path(here, name)
            if hidden or is_hidden(name):
                walk.hidden += [file] if is_image(name) else []
            elif not is_image(name):
                walk.strange.append(file)
            elif not file.exists():
                raise SettingError("dataset.root", f"{file}: a link to a file that is not there")
            else:
                found.append(file)
                walk.nested += [file] if inside else []
    return found


def _raise(error: OSError) -> NoReturn:
    raise error


def _checksum(root: Path, files: list[Path]) -> str:
    """Digests of the files' names and sizes, and of the contents of as many as may be read."""
    names, contents, sizes = hashlib.sha256(), hashlib.sha256(), [f.stat().st_size for f in files]
    for file, size in zip(files, sizes, strict=True):
        names.update(f"{file.relative_to(root).as_posix()} {size}\n".encode())
    step = -(-sum(sizes) // _READ) or 1
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for digest in pool.map(_digest, files[::step]):
            contents.update(digest)
    return f"{names.hexdigest()}-{contents.hexdigest()[:16]}"


def _digest(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()


def _held_out(name: Path) -> bool:
    """A fifth of all names; adding a file moves no other."""
    return hashlib.sha256(name.as_posix().encode()).digest()[0] % 5 == 0
