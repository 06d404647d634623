"""Every mistake of a user ends with exit code 2 and a place, never with a traceback."""

from __future__ import annotations

import io
import pickle
import sys
from pathlib import Path

import pytest
from PIL import Image

from advtrain.errors import AdvtrainError
from advtrain.learning.device import choose_device
from advtrain.process.devices import check_device
from tests.helpers.bad_input import BAD, GOOD, Bad, check
from tests.helpers.command_line import Done


def test_the_mistakes_are_enough_and_none_is_there_twice() -> None:
    assert len(BAD) >= 60
    assert len({case.id for case in BAD}) == len(BAD)


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.id)
def test_bad_input_is_one_line_with_its_place(advtrain, tmp_path: Path, case: Bad) -> None:
    check(case, advtrain(*case.write(tmp_path)), tmp_path)


def test_every_mistake_is_shown_at_once(advtrain, tmp_path: Path) -> None:
    case = Bad(
        "several",
        "base: b.yaml\nmodel: {name: mlp, args: {width: 0}}\nseed: x\nattack: {eps: 1, eps: 2}\n",
        [
            "b.yaml:1:11: dataset.val_size: expected < 1, got 7",
            "bad.yaml:2:27: model.args.width: expected >= 1, got 0",
            "bad.yaml:3:1: seed: expected a number, got 'x'",
            "bad.yaml:4:18: attack.eps: duplicate key",
            "argument 'lr=-1': optimizer.lr: expected > 0, got -1",
            "argument 'epz=1': epz: unknown key, did you mean eps?",
            "argument 'attack.alpha=0': attack.alpha: expected a step size > 0",
        ],
        ["lr=-1", "epz=1", "attack.alpha=0"],
        {"b.yaml": "dataset: {val_size: 7, name: digits}\n"},
    )
    check(case, advtrain(*case.write(tmp_path)), tmp_path)


def test_what_cannot_be_read_is_not_called_missing(advtrain, tmp_path: Path) -> None:
    done: Done = advtrain("train", "good.yaml", "lr=-1")
    assert done.err.splitlines() == [
        "argument 'good.yaml': no such file",
        "argument 'lr=-1': optimizer.lr: expected > 0, got -1",
    ]
    (tmp_path / "goof.yaml").write_text(GOOD)
    assert "did you mean ./goof.yaml?" in advtrain("train", "good.yaml").err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Missing argument 'CONFIG'"),
        (["bad.yaml", "--resume", "maybe"], "--resume"),
        (["bad.yaml", "--nope"], "No such option"),
        (["bad.yaml", "--runs-dir", "bad.yaml"], "--runs-dir"),
    ],
)
def test_wrong_usage_names_the_argument(advtrain, tmp_path: Path, arguments, says: str) -> None:
    (tmp_path / "bad.yaml").write_text(GOOD)
    done: Done = advtrain("train", *arguments)
    assert (done.code, done.out) == (2, "") and says in done.err and "Traceback" not in done.err


def grey(size: int = 8) -> bytes:
    """A PNG of one grey."""
    file = io.BytesIO()
    Image.new("L", (size, size), 128).save(file, "PNG")
    return file.getvalue()


FOLDER = {
    f"images/{part}/{name}/{i}.png": grey()
    for part in ("train", "test") for name in "ab" for i in range(3)
}  # fmt: skip
CORRUPT = {"images/train/b/1.png": b"no image"}
OTHER_SIZE = {"images/train/b/1.png": grey(9)}
ROOT = "argument 'dataset={name: image_folder, root: images}': dataset.root: "
DATA = [
    ("no-folder", {}, ROOT + "no folder images"),
    ("empty-folder", {"images/x.txt": b""}, ROOT + "expected a folder of images for each"),
    ("one-class", {"images/a/0.png": grey()}, ROOT + "expected a folder of images for each"),
    ("empty-class", {**FOLDER, "images/train/c/x": b"", "images/test/c/0.png": grey()},
     ROOT + "images/train/c: no images in this class folder"),
    ("class-not-in-test", {**FOLDER, "images/train/c/0.png": grey()},
     ROOT + "images: class folders not in both train and test: c"),
    ("corrupt-image", {**FOLDER, **CORRUPT}, "images/train/b/1.png: cannot be read as an image"),
    ("other-size", {**FOLDER, **OTHER_SIZE}, "images/train/b/1.png: 9x9 pixels where others"),
]  # fmt: skip


def refused(done: Done, folder: Path, says: str) -> None:
    """One line that begins so, exit code 2, and no run."""
    assert (done.code, done.out) == (2, ""), done
    assert done.err.startswith(says) and done.err.count("\n") == 1, done.err
    assert not [*(folder / "runs").rglob("*")]


@pytest.mark.parametrize(("files", "says"), [c[1:] for c in DATA], ids=[c[0] for c in DATA])
def test_a_bad_image_folder_is_refused_with_its_file(
    advtrain, tiny: Path, tmp_path: Path, files, says: str
) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    images = "dataset={name: image_folder, root: images}"
    done = advtrain("train", tiny, images, "train_size=null", "val_size=0")
    refused(done, tmp_path, says)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("train_size=99999", "99999 is 99999 of the 1437 images of digits; expected 1 to 1437"),
        ("train_size=1e-9", "1e-09 is 0 of the 1437 images of digits"),
        ("val_size=1e-9", "1e-09 of 200 images is 0; expected at least one for validation"),
        ("val_size=0.9999", "0.9999 of 200 images is 200; expected at least one for validation"),
    ],
)
def test_parts_that_the_dataset_does_not_have_are_refused(
    advtrain, tiny: Path, tmp_path: Path, override: str, says: str
) -> None:
    done = advtrain("train", tiny, override)
    refused(done, tmp_path, f"argument '{override}': dataset.{override.split('=')[0]}: {says}")


FUNCTIONS = {
    "raise RuntimeError('boom')": "RuntimeError: boom",
    "raise SystemExit(0)": "SystemExit: 0",
    "return None": "expected it to return (images, labels)",
    "return 1, 2": "expected images (n, h, w) or (n, c, h, w) and n labels, got () and ()",
    "return np.zeros((9, 8, 8)), np.arange(8)": "expected images (n, h, w)",
    "return np.zeros((9, 0, 8)), np.arange(9)": "expected images (n, h, w)",
    "return np.ones((9, 8, 8), int), np.arange(9)": "expected uint8 images, or floats in [0, 1]",
    "return np.full((9, 8, 8), np.nan), np.arange(9)": "9 of 9 images have pixels that are NaN",
    "return np.zeros((9, 8, 8)), np.arange(9) - 1": "labels must count from 0",
    "return np.zeros((9, 8, 8 + train)), np.arange(9)": "train and test images differ in shape",
}


@pytest.mark.parametrize(("body", "says"), FUNCTIONS.items())
def test_a_function_that_returns_nonsense_is_refused(
    advtrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, says: str
) -> None:
    monkeypatch.delitem(sys.modules, "nonsense", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "nonsense.py").write_text(f"import numpy as np\ndef f(train):\n    {body}\n")
    (tmp_path / "bad.yaml").write_text("model: mlp\ndataset: {name: 'import:nonsense:f'}\n")
    done = advtrain("train", "bad.yaml")
    refused(done, tmp_path, f"bad.yaml:2:11: dataset.name: import:nonsense:f: {says}")


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\3\4junk", pickle.dumps({"a": 1}, 2)])
def test_a_file_that_holds_no_weights_is_refused(
    advtrain, tiny: Path, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    done = advtrain("train", tiny, "weights=w.pt")
    assert done.code == 2 and "w.pt: " in done.err and "Traceback" not in done.err
    assert not [*(tmp_path / "runs").rglob("*")]


def test_where_the_driver_is_torch_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.util.find_library", lambda name: f"lib{name}.so.1")
    check_device("cuda:1")
    with pytest.raises(AdvtrainError, match="this machine has 0 CUDA GPUs"):
        choose_device("cuda:1")


@pytest.mark.parametrize(
    "case", [c for c in BAD if "--from" not in c.arguments], ids=lambda case: case.id
)
def test_a_sweep_says_the_same(advtrain, tmp_path: Path, case: Bad) -> None:
    _, *arguments = case.write(tmp_path)
    options = [a for a in ("--resume", "never", "require") if a in arguments]
    if not options:
        seeded = any(a.startswith("seed=") for a in arguments)
        several = ["batch_size=32,64"] if seeded else ["--seeds", "0"]
        check(case, advtrain("sweep", *arguments, *several), tmp_path)
