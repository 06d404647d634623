"""Ctrl-C and SIGTERM where they hit no batch: while files are written, and beside other errors."""

from __future__ import annotations

import gc
import signal
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from advtrain import load_config, train
from advtrain.errors import Interrupted, RunFailed
from advtrain.process.signals import interruptible
from advtrain.store.writer import RunDirectory
from tests.helpers import kills
from tests.helpers.gated_network import GATED, NET, SIGNALS, Tell
from tests.helpers.run_files import attempts, only_run, state
from tests.helpers.stopped_runs import undisturbed


def amid_examples(number: signal.Signals, patch: pytest.MonkeyPatch) -> None:
    """Raise a signal, once, where examples.npz is an archive left in the middle of a file."""
    real, left = zipfile.ZipFile.open, [number]

    def opened(self: zipfile.ZipFile, name: Any, mode: Any = "r", *rest: Any, **more: Any) -> Any:
        handle = real(self, name, mode, *rest, **more)
        if mode == "w" and left:
            signal.raise_signal(left.pop())
        return handle

    patch.setattr(zipfile.ZipFile, "open", opened)


@pytest.mark.parametrize("number", SIGNALS, ids=lambda n: n.name)
def test_an_epoch_that_is_being_saved_is_saved(
    gated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    quiet = undisturbed(gated, *GATED)
    amid_examples(number, monkeypatch)
    with pytest.raises(Interrupted, match=r"^interrupted after epoch 1, saved in"), interruptible():
        train(load_config(gated, GATED), tmp_path / "runs", device="cpu")
    assert capfd.readouterr().err == "stopping when this epoch is saved; once more stops at once\n"
    run = train(load_config(gated, GATED), tmp_path / "runs", device="cpu").dir
    assert attempts(run) == ["1: from epoch 0", "2: from epoch 1"]
    assert kills.differences(quiet, run) == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of the archive
def test_ctrl_c_stays_that_where_it_becomes_another_error(
    gated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = undisturbed(gated, *GATED)
    amid_examples(signal.SIGINT, monkeypatch)  # Python's own KeyboardInterrupt, then a ValueError
    with pytest.raises(KeyboardInterrupt, match=r"^interrupted after epoch 0, saved in"):
        train(load_config(gated, GATED), tmp_path / "runs", device="cpu")
    assert state(only_run(tmp_path / "runs"))["state"] == "interrupted"
    run = train(load_config(gated, GATED), tmp_path / "runs", device="cpu").dir
    assert kills.differences(quiet, run) == []
    gc.collect()  # the archive, within this test


def test_an_error_after_a_ctrl_c_that_is_over_is_one(gated: Path, tmp_path: Path) -> None:
    gated.with_name("wrong.py").write_text(
        NET.replace("        try:", "        assert self.calls < 3\n        try:")
    )
    try:
        raise KeyboardInterrupt("of something else")
    except KeyboardInterrupt:
        with pytest.raises(RunFailed, match="AssertionError"), interruptible():
            train(load_config(gated, ["model=import:wrong:Net"]), tmp_path / "runs", device="cpu")
    run = only_run(tmp_path / "runs")
    assert state(run)["state"] == "failed" and "Traceback" in (run / "log.txt").read_text()


def test_ctrl_c_is_heard_whatever_a_command_is_at() -> None:
    with pytest.raises(Interrupted, match="to go on: "), interruptible():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            raise ValueError("of a library that is left in the middle of something")


def test_what_has_to_be_said_of_a_stop_is_said(
    gated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_status = RunDirectory.set_status

    def full(directory: RunDirectory, **changes: Any) -> None:
        if changes.get("state") == "interrupted":
            raise RunFailed("no space left")
        set_status(directory, **changes)

    monkeypatch.setattr(RunDirectory, "set_status", full)
    told = Tell(signal.SIGTERM, 3)
    with pytest.raises(RunFailed, match="no space left"), interruptible():
        train(load_config(gated, GATED), tmp_path / "runs", device="cpu", observer=told)


def test_a_second_signal_does_not_undo_that_the_run_is_interrupted(
    gated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_status = RunDirectory.set_status

    def disturbed(directory: RunDirectory, **changes: Any) -> None:
        if changes.get("state") == "interrupted":
            time.sleep(0.6)  # sooner it would be the same wish
            signal.raise_signal(signal.SIGINT)
        set_status(directory, **changes)

    monkeypatch.setattr(RunDirectory, "set_status", disturbed)
    told = Tell(signal.SIGTERM, 3)
    with pytest.raises(Interrupted, match=r"^interrupted in epoch 1"), interruptible():
        train(load_config(gated, GATED), tmp_path / "runs", device="cpu", observer=told)
    assert state(only_run(tmp_path / "runs"))["state"] == "interrupted"


def test_what_has_finished_is_not_interrupted(
    gated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_status = RunDirectory.set_status

    def disturbed(directory: RunDirectory, **changes: Any) -> None:
        set_status(directory, **changes)
        if changes.get("state") == "finished":
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(RunDirectory, "set_status", disturbed)
    with pytest.raises(Interrupted, match=r"^interrupted after epoch 3"), interruptible():
        train(load_config(gated, GATED), tmp_path / "runs", device="cpu")
    assert state(only_run(tmp_path / "runs"))["state"] == "finished"


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as by a shell's `&`
    try:
        with interruptible():
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
