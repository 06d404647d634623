"""Image folders as people have them: what is taken for splits and classes, and what is said."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from advtrain.config.schema import Dataset
from advtrain.errors import SettingError
from advtrain.learning.data.splits import Data, load_data


def picture(file: Path, high: int = 255, mode: str = "L") -> None:
    """A file of noise that no other file has."""
    pixels = (
        np.random.RandomState(zlib.crc32(str(file).encode()))
        .randint(0, high + 1, (6, 6))
        .astype(np.uint8)
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).convert(mode).save(file)


def classes(base: Path, names: Iterable[str] = ("cats", "dogs"), count: int = 5, **of: int) -> None:
    for name in names:
        for i in range(count):
            picture(base / name / f"{i}.png", **of)


def split(root: Path, train: str = "train", test: str = "test") -> None:
    classes(root / train)
    classes(root / test, count=3)


def load(root: Path, **keys: object) -> Data:
    dataset = {"name": "image_folder", "root": str(root), "val_size": 0.2, **keys}
    return load_data(Dataset.model_validate(dataset), torch.device("cpu"))


def refused(root: Path) -> str:
    with pytest.raises(SettingError) as error:
        load(root)
    assert error.value.key == "dataset.root" and "\n" not in str(error.value)
    return error.value.text.replace(str(root), "ROOT")


@pytest.mark.parametrize(
    ("train", "test"),
    [("Training", "Testing"), ("Train", "Test"), ("TRAIN", "TEST"), ("training_set", "test_data")],
)
def test_a_folder_in_any_usual_spelling_is_taken_as_a_split(
    tmp_path: Path, train: str, test: str
) -> None:
    split(tmp_path, train, test)
    data = load(tmp_path)
    assert (data.num_classes, len(data.train), len(data.test)) == (2, 8, 6)
    assert f"{train} for training, {test} for test" in data.notes[0]
    assert data.notes[-1] == "2 classes: cats, dogs; images a class: 4 training, 3 test"


@pytest.mark.parametrize("name", ["val", "Valid", "VALIDATION"])
def test_a_third_folder_is_the_validation_set(tmp_path: Path, name: str) -> None:
    split(tmp_path)
    before = load(tmp_path).checksum
    classes(tmp_path / name, count=2)
    data = load(tmp_path)
    assert data.val and (len(data.train), len(data.val), len(data.test)) == (10, 4, 6)
    assert f"{name} for validation" in data.notes[0] and "val_size is not used" in data.notes[1]
    assert data.checksum != before
    without = load(tmp_path, val_size=0)
    assert without.val is None and "val_size is 0" in without.notes[1]


def test_a_class_may_be_named_as_a_split(tmp_path: Path) -> None:
    classes(tmp_path, ("bus", "train"), 30)
    data = load(tmp_path)
    assert data.num_classes == 2 and "its folders are classes" in data.notes[0]


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (["train/a", "train/b", "val/a", "val/b"], "(it has train and val); rename val to test"),
        (["test/a", "test/b"], "only one of the folders train and test (it has test)"),
        (["train/a", "train/b", "Train/a", "test/a"], "Train and train are both named as the trai"),
        (
            ["fold1/a", "fold1/b", "fold2/a", "fold2/b"],
            "hold folders of equal names (a, b), as spl",
        ),
        (["a/train", "a/test", "b/train", "b/test"], "hold folders of equal names (test, train)"),
        (["up/train/a", "up/train/b", "up/test/a"], "; set dataset.root to ROOT/up"),
        (["up/archive/a", "up/archive/b"], "; set dataset.root to ROOT/up/archive"),
        (["train/up/a", "train/up/b", "test/up/a"], "move the folders in ROOT/train/up up to it"),
        (["train/a", "test/a"], "two or more classes in ROOT/train"),
        (["train/a", "train/b", "test/a"], "class folders not in both train and test: b"),
        (["train/a", "train/b", "test/a", "test/B"], "not in both train and test: B, b"),
        (["train/a", "train/b", "test/a", "test/b", "val/c"], "not in both train and val: a, b, c"),
        ([""], "its images lie in no class folder"),
        (["train", "test"], "its images lie in no class folder"),
    ],
)
def test_other_folders_are_refused_with_what_to_do(
    tmp_path: Path, folders: list[str], said: str
) -> None:
    for folder in folders:
        picture(tmp_path / folder / "0.png")
    assert said in refused(tmp_path)


def test_an_empty_class_folder_is_refused(tmp_path: Path) -> None:
    split(tmp_path)
    for part in ("train", "test"):
        (tmp_path / part / "eels").mkdir()
    picture(tmp_path / "train" / "eels" / ".ipynb_checkpoints" / "0.png")
    assert refused(tmp_path) == "ROOT/train/eels: no images in this class folder"


def test_hidden_and_foreign_files_are_no_images_and_said(tmp_path: Path) -> None:
    split(tmp_path)
    plain = load(tmp_path)
    cats = tmp_path / "train" / "cats"
    for hidden in (cats / ".ipynb_checkpoints" / "0.png", cats / "__MACOSX" / "0.png"):
        picture(hidden)
    (cats / "._0.png").write_bytes(b"\0\5\26\7")
    (cats / "Thumbs.db").write_bytes(b"")
    (cats / "notes.heic").write_bytes(b"")
    picture(tmp_path / "__MACOSX" / "train" / "0.png")
    data = load(tmp_path)
    assert data.checksum == plain.checksum and len(data.train) == len(plain.train)
    assert "hidden files are left out (3, such as " in data.notes[1]
    assert "no images are left out (1, such as " in data.notes[2] and "notes.heic" in data.notes[2]
    assert not data.warnings


def test_images_and_folders_outside_of_the_classes_are_a_warning(tmp_path: Path) -> None:
    split(tmp_path)
    picture(tmp_path / "train" / "stray.png")
    picture(tmp_path / "unlabelled" / "0.png")
    stray, others = load(tmp_path).warnings
    assert stray.endswith("train: images outside of its class folders are left out (1)")
    assert others.endswith("folders beside the splits are left out: unlabelled")


def test_folders_inside_a_class_count_for_it_and_links_are_followed(tmp_path: Path) -> None:
    split(tmp_path / "d")
    (tmp_path / "d" / "train" / "cats").rename(tmp_path / "cats")
    (tmp_path / "d" / "train" / "cats").symlink_to(tmp_path / "cats")
    picture(tmp_path / "more" / "0.png")
    (tmp_path / "cats" / "more").symlink_to(tmp_path / "more")
    data = load(tmp_path / "d", val_size=0)
    assert np.bincount(data.train.classes_of).tolist() == [6, 5]
    assert "count for the class (1, such as " in data.notes[1]


def test_links_that_lead_nowhere_or_back_are_refused(tmp_path: Path) -> None:
    split(tmp_path)
    link = tmp_path / "train" / "cats" / "9.png"
    link.symlink_to(tmp_path / "gone.png")
    assert refused(tmp_path) == "ROOT/train/cats/9.png: a link to a file that is not there"
    link.unlink()
    link.with_name("loop").symlink_to(tmp_path / "train")
    assert refused(tmp_path) == "ROOT/train/cats/loop: a link to a folder that holds it"


def test_a_test_set_of_training_images_is_a_warning(tmp_path: Path) -> None:
    split(tmp_path)
    for i in range(2):
        copy = tmp_path / "test" / "dogs" / f"copy{i}.png"
        copy.write_bytes((tmp_path / "train" / "cats" / f"{i}.png").read_bytes())
    assert load(tmp_path).warnings == ("dataset.root: 2 of 8 test images are training images, too",)


def test_swapped_splits_are_a_warning(tmp_path: Path) -> None:
    split(tmp_path, train="test", test="train")
    (warning,) = load(tmp_path).warnings
    assert "the test set (10 images) is larger than the training set (6)" in warning


def test_files_of_zeros_and_ones_are_refused(tmp_path: Path) -> None:
    classes(tmp_path / "train", high=1)
    classes(tmp_path / "test", high=1)
    assert "no pixel of the training images is above 0.003922" in refused(tmp_path)


def test_colour_files_without_colour_and_transparency_are_said(tmp_path: Path) -> None:
    for part in ("train", "test"):
        for name in ("cats", "dogs"):
            for i in range(2):
                picture(tmp_path / part / name / f"{i}.png", mode="RGBA")
    data = load(tmp_path, val_size=0)
    assert data.shape == (3, 6, 6) and "alpha channel is left out" in data.notes[1]
    (warning,) = data.warnings
    assert "the images are grey in three equal channels" in warning


def test_many_classes_are_told_in_one_line(tmp_path: Path) -> None:
    for part in ("train", "test"):
        classes(tmp_path / part, [f"class{i:02}" for i in range(14)], 1)
    picture(tmp_path / "train" / "class03" / "more.png")
    *_, sizes, names = load(tmp_path, val_size=0).notes
    assert sizes == "15 training and 14 test images of 1x6x6"
    assert names == "14 classes: class00 to class13; images a class: 1 to 2 training, 1 test"
