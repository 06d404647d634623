"""Commands where torchrun has started several processes: what each does, and who speaks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from advtrain.errors import AdvtrainError
from advtrain.learning.device import choose_device
from tests.helpers.command_line import Done


@pytest.fixture
def second_of_two(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set what torchrun sets."""

    def as_rank(rank: int = 1) -> None:
        for name, value in (("RANK", rank), ("WORLD_SIZE", 2), ("LOCAL_RANK", rank)):
            monkeypatch.setenv(name, str(value))
        monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")

    return as_rank


def test_each_process_has_the_gpu_of_its_number(
    second_of_two: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    second_of_two()
    monkeypatch.setattr("advtrain.learning.device.check_device", lambda wanted: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *_, **__: None)
    assert [str(choose_device(w)) for w in ("auto", "cuda", "cpu")] == ["cuda:1", "cuda:1", "cpu"]
    for wanted in ("cuda:1", "mps"):
        with pytest.raises(AdvtrainError, match="one device cannot serve 2 processes"):
            choose_device(wanted)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(AdvtrainError, match="has 1 CUDA GPUs for its 2 processes"):
        choose_device("auto")


@pytest.mark.parametrize("command", [["sweep", "tiny.yaml", "eps=0.1,0.2"], ["evaluate", "runs"]])
def test_what_one_process_does_is_refused_once(
    advtrain: Callable[..., Done], second_of_two: Callable[..., None], tiny: Path,
    command: list[str],
) -> None:  # fmt: skip
    second_of_two(0)
    done = advtrain(*command)
    assert done.code == 2 and "this is for one process" in done.err and not done.out
    second_of_two(1)
    done = advtrain(*command)
    assert (done.code, done.out, done.err) == (0, "", "")


@pytest.mark.parametrize("option", ["--print-config", "--dry-run"])
def test_what_only_prints_is_printed_by_the_first(
    advtrain: Callable[..., Done], second_of_two: Callable[..., None], tiny: Path, option: str
) -> None:
    alone = advtrain("train", tiny, option)
    second_of_two(0)
    assert advtrain("train", tiny, option) == alone
    second_of_two(1)
    assert advtrain("train", tiny, option) == Done(0, "", "")
