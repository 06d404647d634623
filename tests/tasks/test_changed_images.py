"""A dataset's files are changed: no command shows or mixes what two different sets gave."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from advtrain import load_config, train
from advtrain.config.schema import Dataset
from advtrain.store.same_images import FIXED, stamp
from tests.helpers.command_line import Done
from tests.helpers.own_arrays import FUNCTION, LOAD, write_arrays
from tests.helpers.own_network import forget_code, refused
from tests.helpers.stopped_runs import Stop

Command = Callable[..., Done]


def write_folder(root: Path, shift: int = 0) -> None:
    """Eight images in each of two classes, as files that are all of one size."""
    for label in (0, 1):
        for number in range(8):
            file = root / f"class{label}" / f"{number}.bmp"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 4), 40 * label + number + shift, np.uint8)).save(file)


@pytest.fixture
def function(tiny: Path) -> Path:
    tiny.with_name("mine.py").write_text(LOAD)
    write_arrays(tiny.parent, np.arange(60) % 3)
    return train(load_config(tiny, [FUNCTION, "train_size=50"]), "runs", device="cpu").dir


@pytest.fixture
def folder(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    write_folder(tmp_path / "pets")
    keys = ["dataset=image_folder", "dataset.root=pets", "train_size=8", "val_size=0"]
    train(load_config(tiny, keys), "runs", device="cpu")
    return keys


@pytest.fixture(autouse=True)
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_labels_permuted_in_the_users_file_are_noticed(
    advtrain: Command, tiny: Path, function: Path
) -> None:
    keys = [FUNCTION, "train_size=50"]
    assert advtrain("train", tiny, *keys).code == 0
    write_arrays(tiny.parent, np.arange(1, 61) % 3)
    images = "the images of import:mine:load are not those that this run"
    refused(advtrain("train", tiny, *keys), str(function), images, "name=...")
    refused(advtrain("train", tiny, *keys, "seed=1"), images, "another seed", "name=...")
    longer = ["epochs=4", "--from", function]
    refused(advtrain("train", tiny, *keys, *longer), images, "--from", "model.weights=")
    refused(advtrain("evaluate", function), "the images of import:mine:load are not those")
    refused(advtrain("train", tiny, *keys, "--dry-run"), str(function), images)
    assert advtrain("train", tiny, *keys, "name=permuted").code == 0


def test_the_code_of_a_dataset_counts_as_well(
    advtrain: Command, tiny: Path, function: Path
) -> None:
    tiny.with_name("mine.py").write_text(LOAD.replace('file["images"]', 'file["images"] / 2'))
    refused(advtrain("train", tiny, FUNCTION, "train_size=50"), "mine.py has changed")


def test_files_of_the_same_names_and_sizes_are_compared_by_what_they_hold(
    advtrain: Command, tiny: Path, folder: list[str]
) -> None:
    write_folder(Path("pets"))  # the same again, of another time
    assert advtrain("train", tiny, *folder).code == 0
    write_folder(Path("pets"), shift=1)
    for file in Path("pets").rglob("*.bmp"):
        os.utime(file, (0, 0))
    refused(advtrain("train", tiny, *folder), "the images of image_folder in pets are not those")
    Path("pets").rename("others")
    write_folder(Path("pets"))
    moved = [key.replace("pets", "others") for key in folder]
    refused(advtrain("train", tiny, *moved), "the images of image_folder in others are not those")
    assert advtrain("train", tiny, *folder).code == 0


def test_images_that_have_not_changed_are_not_loaded_to_show_a_finished_run(
    advtrain: Command, tiny: Path, folder: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("loaded")

    monkeypatch.setattr("advtrain.tasks.checksums.load_source", never)
    assert advtrain("train", tiny, *folder).code == 0
    assert "nothing: the run is finished\n" in advtrain("train", tiny, *folder, "--dry-run").out


def test_a_resumed_run_has_all_of_its_images(
    advtrain: Command, tiny: Path, folder: list[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(load_config(tiny, [*folder, "lr=0.1"]), "runs", device="cpu", observer=Stop(1))
    write_folder(Path("pets"), shift=1)
    refused(advtrain("train", tiny, *folder, "lr=0.1"), "image_folder in pets")


def test_a_folder_of_an_older_run_is_compared_by_names_and_sizes(
    advtrain: Command, tiny: Path, folder: list[str]
) -> None:
    (run,) = Path("runs/tiny").iterdir()
    forget_code(run)
    assert advtrain("train", tiny, *folder).code == 0
    Path("pets/class0/0.bmp").rename("pets/class0/9.bmp")
    refused(advtrain("train", tiny, *folder), "image_folder in pets")


def test_a_stamp_tells_of_every_file_that_a_dataset_is_read_from(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST/raw"
    raw.mkdir(parents=True)
    (raw / "train-images-idx3-ubyte").write_bytes(b"one")
    mnist = Dataset(name="mnist", root=str(tmp_path))
    before = stamp(mnist)
    assert stamp(mnist) == before
    (raw / "notes.txt").write_text("no images")
    assert stamp(mnist) == before
    (raw / "train-images-idx3-ubyte").write_bytes(b"two")
    assert stamp(mnist) != before
    for name in ("digits", "cifar10", "svhn"):  # whose sums torchvision checks
        assert stamp(Dataset(name=name)) == FIXED


def test_a_stamp_follows_links_to_folders_and_ends(tmp_path: Path) -> None:
    elsewhere, root = tmp_path / "elsewhere", tmp_path / "pets"
    elsewhere.mkdir()
    (elsewhere / "1.png").write_bytes(b"one")
    root.mkdir()
    (root / "cats").symlink_to(elsewhere)
    (elsewhere / "again").symlink_to(root)
    (root / "broken").symlink_to("nowhere")
    folder = Dataset(name="image_folder", root=str(root))
    before = stamp(folder)
    (elsewhere / "1.png").write_bytes(b"two")
    assert stamp(folder) != before
