"""A file that is no checkpoint is refused in one plain line, without torch's own advice."""

from __future__ import annotations

import os
import pickle
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from advtrain.errors import AdvtrainError, described, in_one_line
from advtrain.store.checkpoint import load_file


class Runs:
    """Would run a command where it is loaded."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("true",)


FILES = {
    "a whole network": (nn.Linear(2, 2), "holds a Python object (torch.nn.modules.linear.Linear)"),
    "a namespace": ({"args": Namespace(a=1)}, "holds a Python object (argparse.Namespace)"),
    "a command": ({"x": Runs()}, "holds a Python object (posix.system)"),
}


@pytest.mark.parametrize(("content", "says"), FILES.values(), ids=FILES)
def test_a_pickled_object_is_named_and_what_to_save_instead(
    tmp_path: Path, content: object, says: str
) -> None:
    torch.save(content, tmp_path / "w.pt")
    said = refused(tmp_path / "w.pt")
    assert said.startswith(f"{tmp_path}/w.pt: {says}")
    assert "torch.save(model.state_dict(), FILE)" in said


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html>", b"PK\3\4", pickle.dumps(print)])
def test_other_files_are_refused_without_advice_to_load_them_unsafely(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "w.pt").write_bytes(content)
    assert "cannot be loaded as a checkpoint" in refused(tmp_path / "w.pt")


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_torchscript_archive_is_called_one(tmp_path: Path, recwarn) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "w.pt")
    recwarn.clear()
    assert "TorchScript archive" in refused(tmp_path / "w.pt")
    assert not recwarn.list  # which would be printed beside the line


def refused(file: Path) -> str:
    """What is said of a file: one line that can be read."""
    with pytest.raises(AdvtrainError) as caught:
        load_file(file)
    said = str(caught.value)
    assert said.isprintable() and "weights_only" not in said and len(said) < 600
    return said


def test_a_long_text_ends_after_a_whole_word() -> None:
    said = in_one_line(ValueError("\x1b[1mone\x1b[0m\n two " + "three " * 100))
    assert said.startswith("one two three") and said.endswith("three ...") and len(said) <= 300
    assert len(in_one_line(ValueError("x" * 999))) == 300
    assert described(ValueError("a\nb")) == "ValueError: a b"
    assert described(EOFError()) == in_one_line(EOFError()) == "EOFError"
