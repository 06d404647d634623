"""The file of examples by itself: what goes in, how large it is, and how damage is told."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from advtrain.errors import AdvtrainError
from advtrain.learning.data.images import Resident
from advtrain.learning.measuring.image_examples import fixed_images
from advtrain.store.examples_npz import Examples, of_images, read_examples, to_bytes


def two_stages() -> Examples:
    """Two grey images of 2 x 2 pixels, at epochs 1 and 3."""
    x = np.array([0, 0.5, 1, 0.25, 1, 1, 0, 0]).reshape(2, 1, 2, 2)
    examples = of_images("linf", x, np.array([3, 1]), np.array([40, 7]))
    for name, epoch in (("last", 3), ("first", 1)):
        delta = np.array([0.2, -0.2, -0.1, 0, 0, 0.05, 0.2, 0.1]).reshape(x.shape) / epoch
        examples.put(
            name, epoch, 0.2, delta,
            clean_label=np.array([3, 1]), clean_confidence=np.array([0.5, 1], "f4"),
            robust_label=np.array([2, 1]), robust_confidence=np.array([0.25, 0.75], "f4"),
        )  # fmt: skip
    return examples


def arrays_of(content: bytes) -> dict[str, np.ndarray]:
    return dict(np.load(io.BytesIO(content), allow_pickle=False))


def written(file: Path, arrays: dict[str, Any]) -> Path:
    with file.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=True, **arrays)
    return file


def test_the_format_is_as_documented() -> None:
    content = to_bytes(two_stages())
    found = {name: array.tolist() for name, array in arrays_of(content).items()}
    delta = found.pop("delta")
    assert found == {
        "norm": "linf",
        "images": [[[[0, 128], [255, 64]]], [[[255, 255], [0, 0]]]],
        "label": [3, 1],
        "index": [40, 7],
        "stage": ["first", "last"],
        "epoch": [1, 3],
        "eps": [0.2, 0.2],
        "scale": [0.2, 0.2],
        "clean_label": [[3, 1]] * 2,
        "clean_confidence": [[0.5, 1]] * 2,
        "robust_label": [[2, 1]] * 2,
        "robust_confidence": [[0.25, 0.75]] * 2,
    }
    assert delta[0] == [[[[127, -127], [-64, 0]]], [[[0, 32], [127, 64]]]]
    assert delta[1] == [[[[42, -42], [-21, 0]]], [[[0, 11], [42, 21]]]]
    with zipfile.ZipFile(io.BytesIO(content)) as archive:  # no time, so equal runs have equal files
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_reading_gives_what_was_written(tmp_path: Path) -> None:
    file, examples = tmp_path / "examples.npz", two_stages()
    assert read_examples(file) is None
    file.write_bytes(to_bytes(examples))
    found = read_examples(file)
    assert found is not None and to_bytes(found) == to_bytes(examples)
    assert list(found.stages) == ["first", "last"] and found.norm == "linf"
    stage = found.stages["first"]
    assert (stage.epoch, stage.eps, stage.scale) == (1, 0.2, 0.2)
    assert stage.perturbation[0, 0, 0].tolist() == pytest.approx([0.2, -0.2])
    assert found.x_adv("first").ravel().tolist() == pytest.approx(
        [0.2, 128 / 255 - 0.2, 1 - 0.2 * 64 / 127, 64 / 255, 1, 1, 0.2, 0.2 * 64 / 127]
    )


def test_the_scale_of_l2_is_the_largest_value() -> None:
    examples = of_images("l2", np.zeros((1, 1, 1, 2)), np.zeros(1), np.zeros(1))
    one = {"clean_label": np.zeros(1), "robust_label": np.zeros(1)}
    one |= {"clean_confidence": np.ones(1), "robust_confidence": np.ones(1)}
    examples.put("first", 1, 5.0, np.array([3.0, -1.5]).reshape(1, 1, 1, 2), **one)
    assert examples.stages["first"].scale == 3.0
    assert examples.stages["first"].delta.tolist() == [[[[127, -64]]]]
    examples.put("last", 2, 5.0, np.zeros((1, 1, 1, 2)), **one)
    assert examples.stages["last"].perturbation.tolist() == [[[[0, 0]]]]


CHANGES: dict[str, dict[str, Any]] = {
    "a missing array": {"delta": None},
    "a pickle": {"label": np.array([print, print], dtype=object)},
    "floats for bytes": {"images": np.zeros((2, 1, 2, 2))},
    "no images": {"images": np.zeros((0, 1, 2, 2), "u1")},
    "fewer labels": {"label": np.array([3])},
    "another size": {"delta": np.zeros((2, 2, 1, 3, 2), "i1")},
    "a scalar": {"epoch": np.array(1)},
    "NaN": {"scale": np.array([0.2, np.nan])},
    "infinite": {"eps": np.array([np.inf, 0.2])},
    "a NaN of confidence": {"clean_confidence": np.full((2, 2), np.nan, "f4")},
    "too sure": {"robust_confidence": np.full((2, 2), 1.5, "f4")},
    "class -1": {"robust_label": np.full((2, 2), -1)},
    "more than the scale": {"delta": np.full((2, 2, 1, 2, 2), -128, "i1")},
    "a norm": {"norm": np.array("l1")},
    "norms": {"norm": np.array(["linf", "linf"])},
    "a stage twice": {"stage": np.array(["last", "last"])},
    "stages the wrong way round": {"stage": np.array(["last", "first"])},
    "an unknown stage": {"stage": np.array(["first", "middle"])},
    "a word for stages": {"stage": np.array("first")},
    "zeros without end": {"more": np.zeros(2**24, "u1")},
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_does_not_fit_is_one_clear_line(tmp_path: Path, name: str) -> None:
    arrays = arrays_of(to_bytes(two_stages())) | CHANGES[name]
    file = written(tmp_path / "x.npz", {k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(AdvtrainError) as error:
        read_examples(file)
    assert str(error.value).startswith(f"{file}: cannot be read as example images (")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("shape", ["(9999999999999, 1, 2, 2)", "(-1, 1, 2, 2)", "(2, 1, 2, 3)"])
@pytest.mark.parametrize("name", ["images", "stage"])
def test_a_header_that_promises_too_much_is_damage(tmp_path: Path, shape: str, name: str) -> None:
    whole, file = zipfile.ZipFile(io.BytesIO(to_bytes(two_stages()))), tmp_path / "x.npz"
    kind = {"images": "|u1", "stage": "<U0"}[name]
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    with zipfile.ZipFile(file, "w") as archive:
        for member in whole.namelist():
            content = whole.read(member)
            if member == f"{name}.npy":
                content = b"\x93NUMPY\x01\x00\x76\x00" + text.encode() + bytes(8)
            archive.writestr(member, content)
    with pytest.raises(AdvtrainError, match="cannot be read as example images"):
        read_examples(file)


@pytest.mark.parametrize(
    "content", [b"", b"not what you think it is", pickle.dumps(print), b"\x93NUMPY", b"PK\x05\x06"]
)
def test_something_else_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "examples.npz"
    file.write_bytes(content)
    with pytest.raises(AdvtrainError, match="cannot be read as example images"):
        read_examples(file)
    with pytest.raises(AdvtrainError, match="cannot be read as example images"):
        read_examples(tmp_path)


def test_a_huge_file_is_not_even_read(tmp_path: Path) -> None:
    file = tmp_path / "examples.npz"
    with file.open("wb") as stream:
        stream.truncate(2**36)
    with pytest.raises(AdvtrainError, match="far too large"):
        read_examples(file)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_any_damage_is_told_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(to_bytes(two_stages()))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.getbasetemp() / "damaged.npz"
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        found = read_examples(file)
    except AdvtrainError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert found is not None and found.x_adv("last").shape == (2, 1, 2, 2)


@pytest.mark.parametrize(
    ("shape", "count", "every"),
    [
        ((1, 28, 28), 8, 1),
        ((3, 32, 32), 8, 1),
        ((3, 96, 96), 3, 1),
        ((3, 224, 224), 2, 2),
        ((3, 1000, 600), 1, 5),
        ((1, 4000, 1), 8, 1),
    ],
)
def test_the_file_stays_below_400_kB(shape: tuple[int, int, int], count: int, every: int) -> None:
    random = np.random.default_rng(0)
    noise = torch.from_numpy(random.random((20, *shape), dtype=np.float32))
    fixed = fixed_images(Resident(noise, torch.arange(20) % 10, torch.arange(20)), shape)
    kept = noise.numpy()[fixed.index][:, :, ::every, ::every]
    assert len(fixed.index) == count and np.array_equal(fixed.kept, kept)
    examples = of_images("l2", fixed.kept, fixed.batch.y.numpy(), fixed.index)
    for name in ("last", "first", "best"):  # noise is what compresses worst
        some, sure = np.zeros(count, int), np.ones(count)
        examples.put(
            name, 1, 9.0, random.standard_normal(kept.shape), clean_label=some,
            clean_confidence=sure, robust_label=some, robust_confidence=sure,
        )  # fmt: skip
    content = to_bytes(examples)
    assert 3 * kept.size < len(content) < 400_000
    assert list(examples.stages) == ["first", "best", "last"]


@pytest.mark.parametrize(
    ("labels", "shown_labels"),
    [
        ([0] * 95 + [1] * 5, [0, 1, 0, 1, 0, 1, 0, 1]),
        ([0] * 95 + [4], [0, 4, 0, 0, 0, 0, 0, 0]),
        ([3, 1, 2], [1, 2, 3]),
        (sorted([*range(1000)] * 3), [0, 142, 285, 428, 570, 713, 856, 999]),
    ],
)
def test_the_fixed_images_are_one_of_each_class_then_again(
    labels: list[int], shown_labels: list[int]
) -> None:
    y = torch.tensor(labels)
    fixed = fixed_images(Resident(torch.rand(len(y), 1, 2, 2), y, torch.arange(len(y))), (1, 2, 2))
    assert fixed.batch.y.tolist() == shown_labels == y[fixed.index].tolist()
    assert len(set(fixed.index.tolist())) == len(shown_labels)
