"""Ctrl-C and SIGTERM while a run trains: what the first does, and one more."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from advtrain import load_config, train
from tests.helpers import kills
from tests.helpers.command_line import Done, finish, heard, start
from tests.helpers.gated_network import GATED
from tests.helpers.mischief import states
from tests.helpers.processes import wait_until
from tests.helpers.run_files import attempts, only_run, state

# `advtrain` with part.pt written after every batch.
OFTEN = """\
import sys
from advtrain.tasks import mid_epoch
from advtrain.cli import main
mid_epoch.EVERY = 0.0
sys.argv = ["advtrain", *sys.argv[1:]]
main()
"""


def in_a_batch(folder: Path, process: subprocess.Popen[str]) -> None:
    """Wait until the network waits."""
    wait_until(lambda: (folder / "reached").exists() or process.poll() is not None)
    assert process.poll() is None, finish(process).err


def quiet(config: Path, *keys: str) -> Path:
    """The same run, which nothing disturbs."""
    (config.parent / "gate").touch()
    run = train(load_config(config, keys), config.parent / "quiet", device="cpu").dir
    for left in ("gate", "reached"):
        (config.parent / left).unlink()
    return run


def gone_on(config: Path, *keys: str) -> Path:
    """The run, to its end, with the gate open."""
    (config.parent / "gate").touch()
    return train(load_config(config, keys), config.parent / "runs", device="cpu").dir


@pytest.mark.parametrize(
    ("number", "epoch", "batch", "times"),
    [
        (signal.SIGINT, 1, 1, 1),
        (signal.SIGTERM, 2, 6, 2),  # `timeout` signals a process and then its group
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_first_signal_lets_the_batch_under_way_end(
    advtrain: Callable[..., Done], gated: Path, tmp_path: Path, number: signal.Signals, epoch: int,
    batch: int, times: int,
) -> None:  # fmt: skip
    """And the run is saved, the command that goes on is named, and it ends as if undisturbed."""
    keys = [*GATED, f"model.args.at={6 * epoch + batch}", "schedule={name: constant, warmup: 1}"]
    undisturbed = quiet(gated, *keys)
    process = start("train", gated.name, *keys, cwd=tmp_path)
    in_a_batch(tmp_path, process)
    for _ in range(times):
        process.send_signal(number)
    (tmp_path / "gate").touch()
    done = finish(process)
    run = only_run(tmp_path / "runs")
    assert done.code == 130 and "Traceback" not in done.err, done.err
    where = f"interrupted in epoch {epoch + 1} after batch {batch} of 6, saved in "
    *_, saved, command = done.err.splitlines()
    assert where + str(run.relative_to(tmp_path)) in saved
    words = ["train", str(run.relative_to(tmp_path))]
    assert shlex.split(command.removeprefix("to go on: ")) == ["advtrain", *words]
    assert (state(run)["state"], state(run)["epoch"]) == ("interrupted", epoch)
    assert f"go on after epoch {epoch} (interrupted)" in advtrain(*words, "--dry-run").out
    gone_on(gated, *keys)
    assert attempts(run) == ["1: from epoch 0", f"2: from epoch {epoch}, batch {batch}"]
    assert kills.differences(undisturbed, run) == []


def test_a_second_signal_stops_at_once(gated: Path, tmp_path: Path) -> None:
    keys = [*GATED, "model.args.at=10"]
    undisturbed = quiet(gated, *keys)
    process = start("train", gated.name, *keys, cwd=tmp_path)
    in_a_batch(tmp_path, process)
    process.send_signal(signal.SIGTERM)
    assert heard(process) == "stopping after this batch; once more stops at once\n"
    time.sleep(0.6)  # sooner it would be the same wish
    process.send_signal(signal.SIGINT)
    done, run = finish(process), only_run(tmp_path / "runs")  # the gate is still closed
    assert done.code == 130 and "interrupted after epoch 1, saved in " in done.err
    assert state(run)["state"] == "interrupted" and not (run / "part.pt").exists()
    gone_on(gated, *keys)
    assert kills.differences(undisturbed, run) == []


def test_a_run_killed_within_an_epoch_goes_on_from_what_was_saved(
    gated: Path, tmp_path: Path
) -> None:
    keys = [*GATED, "model.args.at=10", "objective=trades", "ema=0.9"]
    undisturbed = quiet(gated, *keys)
    process = subprocess.Popen(
        [sys.executable, "-c", OFTEN, "train", gated.name, *keys], cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    in_a_batch(tmp_path, process)
    process.kill()
    assert finish(process).code == -signal.SIGKILL
    run = gone_on(gated, *keys)
    epoch, _, batch = attempts(run)[1].removeprefix("2: from ").partition(", ")
    assert epoch in ("epoch 0", "epoch 1") and batch.startswith("batch ")
    assert kills.differences(undisturbed, run) == []


def test_a_sweep_goes_on_from_within_an_epoch(gated: Path, tmp_path: Path) -> None:
    keys = [*GATED, "model.args.at=8", "ema=0.9"]
    command = ["sweep", gated.name, *keys, "--seeds", "0", "--json"]
    undisturbed = quiet(gated, *keys)
    process = start(*command, cwd=tmp_path)
    in_a_batch(tmp_path, process)
    process.send_signal(signal.SIGTERM)
    (log,) = tmp_path.glob("runs/tiny/sweeps/*/worker-1.log")
    wait_until(lambda: "stopping after this batch" in log.read_text())  # the signal is passed on
    (tmp_path / "gate").touch()
    done = finish(process)
    assert done.code == 130, done.err
    assert states(tmp_path / "runs") == ["interrupted"]
    again = finish(start(*command, cwd=tmp_path))
    assert again.code == 0, again.err
    run = only_run(tmp_path / "runs")
    assert attempts(run) == ["1: from epoch 0", "2: from epoch 1, batch 2"]
    assert kills.differences(undisturbed, run) == []


def test_a_run_killed_at_random_moments_equals_one_never_stopped(tmp_path: Path) -> None:
    done, differences = kills.torment(tmp_path, "norm", count=3, seed=0)
    assert differences == []
    assert len(done) == 3 and "loading" not in {kill.hit for kill in done}
