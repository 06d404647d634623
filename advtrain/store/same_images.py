"""Whether a dataset's images are those of a run. Imports no torch, and loads no image."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from advtrain.config.names import DATASETS
from advtrain.config.schema import Config, Dataset
from advtrain.errors import AdvtrainError
from advtrain.store import provenance
from advtrain.store.naming import other_seeds
from advtrain.store.parent import Parent

FIXED = "fixed"


def stamp(dataset: Dataset) -> str:
    """A digest of the names, sizes and times of a dataset's files; equal: nothing has changed.

    `fixed` where no other images can be: of a package, or of files whose sums torchvision checks.
    Empty where only loading tells: nobody knows what an `import:` function reads.
    """
    root = dataset.folder
    if dataset.name == "image_folder":
        files = sorted(_below(root))
    elif dataset.name in DATASETS:
        names = DATASETS[dataset.name].files.split(", ")
        files = [root / n.removesuffix(".gz") for n in names if n.endswith("-ubyte.gz")]
        if not files:
            return FIXED
    else:
        return ""
    digest = hashlib.sha256(str(root.resolve()).encode())
    for file in files:
        with suppress(OSError):  # gone: so is its line
            of = file.stat()
            # Tools that copy and unpack set the first of the times as they like.
            facts = f"{file.relative_to(root)} {of.st_size} {of.st_mtime_ns} {of.st_ctime_ns}\n"
            digest.update(facts.encode(errors="surrogateescape"))
    return digest.hexdigest()


def _below(folder: Path) -> Iterator[Path]:
    """All files below a folder; a folder that several links lead to counts once."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(place) / file for file in files)


def vouched(record: Mapping[str, Any], stamp: str) -> bool:
    """Whether the images must be those of a run's provenance, so that none need be loaded."""
    return stamp == FIXED or bool(stamp and stamp == record.get("dataset_stamp"))


def check_images(config: Config, path: Path, parent: Parent | None, checksum: str) -> None:
    """Make sure that a run is taken up with the images that it was begun with.

    A new one needs those of its parent, where both name the same, and of the runs that differ from
    it by their seed alone. Raises AdvtrainError that names the dataset.
    """
    images = named_images(config.dataset)
    record = provenance.made(path)
    if other_images(record, checksum):
        raise AdvtrainError(
            f"{path}: {images} are not those that this run began with (checksum in "
            "provenance.json); give the new ones a run of their own with name=..."
        )
    if record:
        return
    if (
        parent
        and parent.config.dataset == config.dataset
        and other_images(provenance.made(parent.path), checksum)
    ):
        raise AdvtrainError(
            f"argument '--from {parent.path}': {images} are not those that this run was trained "
            "on; leave --from out and begin with that run's weights: "
            f"model.weights={parent.path}/last.pt"
        )
    for other in other_seeds(config, path.parent, parent):
        if other_images(provenance.glance(other), checksum):
            raise AdvtrainError(
                f"{other}: {images} are not those that this run began with; it is the same "
                "experiment with another seed: keep the two apart with name=..."
            )


def other_images(record: Mapping[str, Any], checksum: str) -> bool:
    """Whether a run's provenance tells of other images than these."""
    return bool(record) and not provenance.same_images(record["dataset_checksum"], checksum)


def named_images(dataset: Dataset) -> str:
    """`the images of` the dataset, with where its files are, if it has any."""
    rooted = dataset.name != "digits" and not dataset.name.startswith("import:")
    return f"the images of {dataset.name}" + (f" in {dataset.root}" if rooted else "")
