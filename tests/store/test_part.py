"""part.pt: when it counts, what is said of a damaged one, and what it is not to be taken for."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from advtrain import load_config, train
from advtrain.errors import AdvtrainError
from advtrain.store.run_status import is_run
from advtrain.store.writer import clear
from tests.helpers import kills
from tests.helpers.command_line import Done
from tests.helpers.damage import (
    broken_pickle,
    cut,
    empty,
    no_optimizer,
    other_network,
    other_tensors,
    text,
)
from tests.helpers.run_files import contents, state
from tests.helpers.stopped_runs import BATCHES, NORMED, Stop, Watch, stopped_at, undisturbed


@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize(
    "damage",
    [cut, empty, text, broken_pickle, other_tensors, other_network, no_optimizer],
)
def test_a_damaged_part_costs_the_epoch_and_one_warning(
    config: Path, tmp_path: Path, damage: Callable[[Path], None], epoch: int
) -> None:
    keys = [*NORMED, "optimizer=adam", "ema=0.9"]
    quiet = undisturbed(config, *keys)
    run = stopped_at(config, tmp_path / "runs", epoch, 4, *keys)
    damage(run / "part.pt")
    watch = Watch()
    train(load_config(config, keys), tmp_path / "runs", device="cpu", observer=watch)
    (warning,) = watch.warnings
    assert f"{run / 'part.pt'}: " in warning and f"epoch {epoch + 1} begins anew" in warning
    assert watch.trained == (3 - epoch) * BATCHES
    assert kills.differences(quiet, run) == []


def test_a_part_counts_only_for_its_epoch(config: Path, tmp_path: Path) -> None:
    quiet = undisturbed(config)
    run = stopped_at(config, tmp_path / "runs", 1, 3)
    part, last = (run / "part.pt").read_bytes(), (run / "last.pt").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        train(load_config(config), tmp_path / "runs", device="cpu", observer=Stop(2))
    assert not (run / "part.pt").exists()
    (run / "part.pt").write_bytes(part)  # as if killed before it was removed
    watch = Watch(2, batch=3)
    with pytest.raises(KeyboardInterrupt):
        train(load_config(config), tmp_path / "runs", device="cpu", observer=watch)
    assert (watch.trained, watch.warnings) == (3, [])
    (run / "last.pt").write_bytes(last)  # an older one, brought back
    watch = Watch()
    train(load_config(config), tmp_path / "runs", device="cpu", observer=watch)
    assert watch.trained == 2 * BATCHES
    (warning,) = watch.warnings
    assert "goes on from epoch 2, step 12, but this run is at epoch 1, step 6" in warning
    assert kills.differences(quiet, run) == []


def test_a_part_of_the_last_epoch_is_gone_when_the_run_is_finished(
    config: Path, tmp_path: Path
) -> None:
    run = stopped_at(config, tmp_path / "runs", 2, 6)
    part = (run / "part.pt").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        train(load_config(config), tmp_path / "runs", device="cpu", observer=Stop(3))
    (run / "part.pt").write_bytes(part)
    watch = Watch()
    train(load_config(config), tmp_path / "runs", device="cpu", observer=watch)
    assert (watch.trained, watch.warnings) == (0, []) and state(run)["state"] == "finished"
    assert not (run / "part.pt").exists()


def test_a_run_without_a_whole_epoch_goes_on_but_is_not_evaluated(
    advtrain: Callable[..., Done], tiny: Path, tmp_path: Path
) -> None:
    run = stopped_at(tiny, tmp_path / "runs", 0, 4)
    plan = advtrain("train", tiny, "--dry-run").out
    assert "go on after epoch 0 (interrupted), from within epoch 1" in plan
    assert " 0/3 " in advtrain("status", "runs").out
    child = advtrain("train", tiny, "epochs=4", "--from", run)
    assert child.code == 2 and "no last.pt, so nothing to go on from" in child.err
    for arguments in ([], ["--checkpoint", "part.pt"]):
        done = advtrain("evaluate", run, *arguments)
        assert done.code == 2 and "has no weights to evaluate" in done.err
    (run / "status.json").unlink()
    assert is_run(run)
    before = contents(run)
    refused = advtrain("train", tiny, "--resume", "never")
    assert refused.code == 2 and "this run exists" in refused.err
    assert contents(run) == before
    copy = shutil.copytree(run, tmp_path / "copy")
    clear(copy)
    assert not is_run(copy)
    done = advtrain("train", tiny, "--resume", "require", "epochs=3")
    assert done.code == 0, done.err
    assert "attempt 1: from epoch 0, batch 4" in (run / "log.txt").read_text()


def test_the_weights_of_half_an_epoch_are_not_evaluated(
    advtrain: Callable[..., Done], tiny: Path, tmp_path: Path
) -> None:
    run = stopped_at(tiny, tmp_path / "runs", 1, 4)
    refused = advtrain("evaluate", run, "--checkpoint", "part.pt")
    assert refused.code == 2 and "part.pt: is of an epoch under way" in refused.err
    missing = advtrain("evaluate", run, "--checkpoint", "epoch00001.pt")
    assert missing.code == 2 and "no such file" in missing.err
    assert advtrain("evaluate", run, "--steps", "2", "--restarts", "1").code == 0


def test_a_full_disk_at_a_stop_costs_the_epoch_under_way_alone(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = undisturbed(config)
    write = Path.write_bytes

    def full(file: Path, content: bytes) -> int:
        if ".part.pt." in file.name:
            raise OSError(28, "No space left on device")
        return write(file, content)

    with monkeypatch.context() as patch, pytest.raises(AdvtrainError, match="free some space"):
        patch.setattr(Path, "write_bytes", full)
        train(load_config(config), tmp_path / "runs", device="cpu", observer=Stop(1, 3))
    run = train(load_config(config), tmp_path / "runs", device="cpu").dir
    assert kills.differences(quiet, run) == []
