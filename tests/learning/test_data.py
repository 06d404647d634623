"""Datasets: real digits, files brought by hand, a local server, folders of images, functions."""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from advtrain import load_config, train
from advtrain.config.names import DATASETS, DatasetInfo
from advtrain.config.schema import Dataset
from advtrain.errors import AdvtrainError
from advtrain.learning.data import splits
from advtrain.learning.data.augment import crop_and_flip
from advtrain.learning.data.images import Resident, Streamed, in_turn
from advtrain.learning.data.splits import load_data
from advtrain.learning.data.stratify import stratified
from advtrain.learning.streams import stream
from tests.helpers.picture_folder import CPU, folder_of_images


def test_digits_are_split_by_class_and_never_overlap() -> None:
    data = load_data(Dataset(name="digits"), CPU)
    assert data.val is not None
    assert (len(data.train), len(data.val), len(data.test)) == (1293, 144, 360)
    assert data.shape == (1, 8, 8) and data.num_classes == 10
    images = torch.cat([s.images.flatten(1) for s in (data.train, data.val, data.test)])
    from sklearn.datasets import load_digits

    raw = torch.from_numpy(load_digits().data / 16).float()
    assert sorted(images.tolist()) == sorted(raw.tolist())  # each image once, none lost
    for split in (data.train, data.val, data.test):
        share = np.bincount(split.classes_of) / len(split)
        np.testing.assert_allclose(share, np.bincount(load_digits().target) / 1797, atol=0.006)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=200), st.floats(0, 1), st.text(max_size=5))
def test_stratified_parts_keep_proportions(labels: list[int], share: float, purpose: str) -> None:
    values = np.array(labels)
    count = round(share * len(values))
    chosen = stratified(values, count, purpose)
    assert len(chosen) == count == len(set(chosen.tolist()))
    assert np.array_equal(chosen, stratified(values, count, purpose))
    for c in np.unique(values):
        exact = (values == c).sum() * count / len(values)
        assert abs((values[chosen] == c).sum() - exact) < 1


def test_train_size_takes_and_val_size_holds_out() -> None:
    data = load_data(Dataset(name="digits", train_size=100, val_size=0.2), CPU)
    assert data.val is not None and (len(data.train), len(data.val)) == (80, 20)
    half = load_data(Dataset(name="digits", train_size=0.5, val_size=0), CPU)
    assert half.val is None and len(half.train) == 718
    larger = load_data(Dataset(name="digits", train_size=1000, val_size=0), CPU)
    assert len(set(half.train.ids.tolist()) & set(larger.train.ids.tolist())) >= 715


def test_batches_are_floats_with_their_labels() -> None:
    images = Resident(
        torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1) * 51, torch.arange(6), torch.arange(6)
    )
    x, y, ids = next(images.batches([torch.tensor([5, 0])]))
    assert x.flatten().tolist() == [1.0, 0.0] and y.tolist() == ids.tolist() == [5, 0]


# --- torchvision's datasets, tiny but in their real formats -------------------------------------


def idx_files(folder: Path, train: int, test: int) -> None:
    """An MNIST of noise in its four .gz files."""
    folder.mkdir(parents=True)
    random = np.random.RandomState(0)
    for name, count in (("train", train), ("t10k", test)):
        header = [2051, count, 28, 28]
        pixels = random.randint(0, 256, count * 784).astype(np.uint8).tobytes()
        images = b"".join(v.to_bytes(4, "big") for v in header) + pixels
        labels = b"".join(v.to_bytes(4, "big") for v in (2049, count))
        labels += bytes(i % 10 for i in range(count))
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images, mtime=0))
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels, mtime=0))


@pytest.fixture
def small_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same code for a dataset of 40 + 20 images."""
    info = DATASETS["mnist"]
    small = DatasetInfo(info.doc, info.shape, 10, 40, 20, info.torchvision, info.files)
    monkeypatch.setitem(DATASETS, "mnist", small)


@pytest.fixture
def server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_mnist: None
) -> Iterator[list[str]]:
    """A local mirror of MNIST; the list grows by the paths that were asked for."""
    folder = tmp_path / "mirror"
    idx_files(folder, 40, 20)
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        mirror = f"http://127.0.0.1:{http.server_port}/"
        monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [mirror])
        resources = [
            (p.name, hashlib.md5(p.read_bytes()).hexdigest()) for p in sorted(folder.iterdir())
        ]
        monkeypatch.setattr(torchvision.datasets.MNIST, "resources", resources)
        yield asked
        http.shutdown()


def test_a_missing_dataset_is_downloaded_once(
    server: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = Dataset(name="mnist", root=str(tmp_path / "data"))
    first = load_data(dataset, CPU)
    assert (len(first.train), len(first.test)) == (36, 20) and len(set(server)) == 4
    server.clear()
    assert load_data(dataset, CPU).checksum == first.checksum and not server
    assert capsys.readouterr().out == ""  # stdout is for results


def test_a_download_that_was_tampered_with_is_refused(server: list[str], tmp_path: Path) -> None:
    (tmp_path / "mirror" / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"evil"))
    with pytest.raises(AdvtrainError, match=r"not complete under .*train-labels-idx1-ubyte"):
        load_data(Dataset(name="mnist", root=str(tmp_path / "data")), CPU)


def test_offline_names_the_files_to_bring(
    small_mnist: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(AdvtrainError) as error:
        load_data(Dataset(name="mnist", root=str(tmp_path / "data")), CPU)
    assert "\n" not in str(error.value)
    assert "MNIST/raw/t10k-labels-idx1-ubyte.gz" in str(error.value)
    assert str(tmp_path / "data") in str(error.value)


def test_files_brought_by_hand_need_no_network(
    small_mnist: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torchvision.datasets.MNIST, "mirrors", [])
    idx_files(tmp_path / "MNIST" / "raw", 40, 20)
    data = load_data(Dataset(name="mnist", root=str(tmp_path), val_size=0), CPU)
    assert (len(data.train), len(data.test), data.shape) == (40, 20, (1, 28, 28))


def test_a_damaged_file_is_named(small_mnist: None, tmp_path: Path) -> None:
    idx_files(tmp_path / "MNIST" / "raw", 40, 20)
    broken = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte.gz"
    broken.write_bytes(broken.read_bytes()[:-500])
    with pytest.raises(AdvtrainError, match=r"train-images-idx3-ubyte\.gz: cannot be unpacked"):
        load_data(Dataset(name="mnist", root=str(tmp_path)), CPU)
    assert broken.exists()


@pytest.mark.parametrize(
    ("name", "attribute", "shape"),
    [("cifar10", "CIFAR10", (3, 32, 32)), ("svhn", "SVHN", (3, 32, 32))],
)
def test_colour_datasets_come_out_channels_first(
    name: str, attribute: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fake:
        """As torchvision keeps them: CIFAR (n, h, w, c) with targets, SVHN (n, c, h, w)."""

        def __init__(self, root: Path, *, download: bool, **which: object) -> None:
            count = 30 if which in ({"train": True}, {"split": "train"}) else 10
            pixels = np.zeros((count, 32, 32, 3), np.uint8)
            pixels[..., 0] = 255  # red
            self.data = pixels if name == "cifar10" else pixels.transpose(0, 3, 1, 2)
            setattr(
                self, "targets" if name == "cifar10" else "labels", [i % 10 for i in range(count)]
            )

    info = DATASETS[name]
    monkeypatch.setitem(DATASETS, name, DatasetInfo("", info.shape, 10, 30, 10, attribute))
    monkeypatch.setattr(torchvision.datasets, attribute, Fake)
    data = load_data(Dataset(name=name, val_size=0), CPU)
    assert data.shape == shape
    assert data.train.images[0, :, 0, 0].tolist() == [255, 0, 0]


# --- folders --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3)])
def test_image_folder_finds_grey_and_colour(tmp_path: Path, mode: str, channels: int) -> None:
    folder_of_images(tmp_path, mode)
    data = load_data(Dataset(name="image_folder", root=str(tmp_path), val_size=0), CPU)
    assert isinstance(data.train, Resident)
    assert data.shape == (channels, 9, 9) and data.num_classes == 3
    assert np.bincount(data.train.classes_of).tolist() == [12] * 3
    pixels = np.array(Image.open(tmp_path / "train" / "dogs" / "0.png")).reshape(9, 9, channels)
    first_dog = data.train.images[12].permute(1, 2, 0).numpy()
    assert np.array_equal(first_dog, pixels)


def test_a_streamed_folder_trains_exactly_like_a_resident_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of_images(tmp_path / "pictures", "RGB")
    config = tmp_path / "c.yaml"
    config.write_text(
        "model: {name: mlp, args: {width: 8}}\n"
        f"dataset: {{name: image_folder, root: {tmp_path / 'pictures'}, augment: crop+flip}}\n"
        "training: {epochs: 2, batch_size: 7}\nattack: {steps: 2}\n"
    )
    resident = train(load_config(config), tmp_path / "a")
    monkeypatch.setattr(splits, "RESIDENT_BYTES", 0)
    data = load_data(load_config(config).dataset, CPU)
    assert isinstance(data.train, Streamed) and isinstance(data.test, Streamed)
    streamed = train(load_config(config), tmp_path / "b")
    times = ["images_per_second", "seconds"]
    assert resident.metrics.drop(columns=times).equals(streamed.metrics.drop(columns=times))


def test_a_folder_without_splits_holds_out_a_fifth_by_name(tmp_path: Path) -> None:
    folder_of_images(tmp_path / "a", "L", per_class=60)
    dataset = Dataset(name="image_folder", root=str(tmp_path / "a" / "train"), val_size=0)
    data = load_data(dataset, CPU)
    assert len(data.train) + len(data.test) == 180 and 20 <= len(data.test) <= 52
    before = load_data(dataset, CPU).checksum
    (tmp_path / "a" / "train" / "cats" / "0.png").unlink()
    after = load_data(dataset, CPU)
    assert after.checksum != before
    assert len(after.train) + len(after.test) == 179


def test_train_without_test_is_not_taken_for_classes(tmp_path: Path) -> None:
    folder_of_images(tmp_path, "L")
    (tmp_path / "test").rename(tmp_path / "val")
    with pytest.raises(AdvtrainError, match="only one of the folders train and test"):
        load_data(Dataset(name="image_folder", root=str(tmp_path)), CPU)


def test_a_finished_run_does_not_answer_for_another_folder(advtrain, tmp_path: Path) -> None:
    folder_of_images(tmp_path / "a", "L")
    folder_of_images(tmp_path / "b", "L", per_class=13)
    config = tmp_path / "c.yaml"
    config.write_text("model: mlp\ndataset: {name: image_folder, root: a}\ntraining: {epochs: 1}\n")
    assert advtrain("train", config).code == 0
    assert advtrain("train", config, "dataset.root=./a").code == 0
    other = advtrain("train", config, "dataset.root=b")
    assert other.code == 2 and "are not those that this run began with" in other.err


def test_images_of_several_sizes_need_image_size(tmp_path: Path) -> None:
    folder_of_images(tmp_path, "L")
    Image.new("L", (20, 14)).save(tmp_path / "train" / "cats" / "5.png")
    dataset = {"name": "image_folder", "root": str(tmp_path)}
    with pytest.raises(AdvtrainError, match=r"5.png: 20x14 pixels .* set dataset.image_size"):
        load_data(Dataset(**dataset), CPU)
    assert load_data(Dataset(**dataset, image_size=8), CPU).shape == (1, 8, 8)


# --- functions and augmentation -------------------------------------------------------------------


def test_a_function_of_ones_own_gives_the_images(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "def load(train, root, n=20):\n"
        "    n = n if train else 8\n"
        "    return torch.full((n, 5, 5), 0.5), torch.arange(n) % 4\n"
    )
    config = tmp_path / "c.yaml"
    config.write_text("model: mlp\ndataset: {name: 'import:mine:load', args: {n: 40}}\n")
    data = load_data(load_config(config).dataset, CPU)
    assert (len(data.train), data.shape, data.num_classes) == (36, (1, 5, 5), 4)


def test_augmentation_crops_and_mirrors_each_image_on_its_own() -> None:
    ramp = torch.arange(64.0).view(1, 1, 8, 8).expand(500, 1, 8, 8) + 1
    out = crop_and_flip(ramp, stream("augment test"))
    padded = torch.nn.functional.pad(ramp[0, 0], (1, 1, 1, 1))
    crops = [padded[r : r + 8, c : c + 8] for r in range(3) for c in range(3)]
    allowed = crops + [crop.flip(1) for crop in crops]
    seen = [next(i for i, a in enumerate(allowed) if torch.equal(image[0], a)) for image in out]
    assert set(seen) == set(range(18))  # all 9 places, mirrored or not, occur in one batch
    assert np.bincount(seen).min() > 10
    assert torch.equal(out, crop_and_flip(ramp, stream("augment test")))


def test_positions_in_turn_cover_everything_once() -> None:
    assert torch.cat(list(in_turn(23, 5))).tolist() == list(range(23))
