"""Ctrl-C and SIGTERM while a run trains: what the first does, and one more."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from advtrain import load_config, train
from advtrain.errors import Interrupted
from advtrain.process.observer import Observer
from advtrain.process.signals import interruptible
from tests.helpers import kills
from tests.helpers.command_line import Done, finish, heard, start
from tests.helpers.mischief import attempts, states
from tests.helpers.processes import wait_until
from tests.tasks.test_resume import state

NET = '''\
"""Waits in one training batch until it may go on; raises a signal when it is told to."""

import signal, time
from pathlib import Path
from torch import nn

HERE = Path(__file__).parent
told = []  # signals to raise in the next pass
swallows = False


class Net(nn.Sequential):
    def __init__(self, in_shape, num_classes, at=0):
        super().__init__(
            nn.Flatten(), nn.Linear(64, 16), nn.Dropout(0.1), nn.Linear(16, num_classes)
        )
        self.at, self.calls = at, 0

    def forward(self, x):
        self.calls += self.training  # once a batch
        if self.training and self.calls == self.at:
            (HERE / "reached").touch()
            while not (HERE / "gate").exists():
                time.sleep(0.01)
        try:
            while told:
                signal.raise_signal(told.pop())
        except KeyboardInterrupt:
            if not swallows:
                raise
        return super().forward(x)
'''
GATED = ["model='import:gated:Net'"]
SIGNALS = [signal.SIGINT, signal.SIGTERM]
# `advtrain` with part.pt written after every batch.
OFTEN = """\
import sys
from advtrain.tasks import mid_epoch
from advtrain.cli import main
mid_epoch.EVERY = 0.0
sys.argv = ["advtrain", *sys.argv[1:]]
main()
"""


@pytest.fixture
def gated(tiny: Path) -> Path:
    """The tiny config, with a network that waits in its folder."""
    tiny.with_name("gated.py").write_text(NET)
    return tiny


def in_a_batch(folder: Path, process: subprocess.Popen[str]) -> None:
    """Wait until the network waits."""
    wait_until(lambda: (folder / "reached").exists() or process.poll() is not None)
    assert process.poll() is None, finish(process).err


def only(runs: Path) -> Path:
    (run,) = runs.glob("tiny/*/status.json")
    return run.parent


def quiet(config: Path, *keys: str) -> Path:
    """The same run, never disturbed."""
    folder = config.parent
    (folder / "gate").touch()
    done = finish(start("train", config.name, *keys, "--runs-dir", "quiet", cwd=folder))
    assert done.code == 0, done.err
    (folder / "gate").unlink()
    (folder / "reached").unlink()
    return only(folder / "quiet")


@pytest.mark.parametrize(
    ("number", "epoch", "batch", "times"),
    [
        (signal.SIGTERM, 0, 4, 1),
        (signal.SIGINT, 1, 1, 1),
        (signal.SIGTERM, 2, 6, 2),  # `timeout` signals a process and then its group
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_first_lets_the_batch_under_way_end(
    gated: Path, tmp_path: Path, number: signal.Signals, epoch: int, batch: int, times: int
) -> None:
    keys = [*GATED, f"model.args.at={6 * epoch + batch}"]
    undisturbed = quiet(gated, *keys)
    process = start("train", gated.name, *keys, cwd=tmp_path)
    in_a_batch(tmp_path, process)
    for _ in range(times):
        process.send_signal(number)
    (tmp_path / "gate").touch()
    done = finish(process)
    run = only(tmp_path / "runs")
    assert done.code == 130 and "Traceback" not in done.err, done.err
    where = f"interrupted in epoch {epoch + 1} after batch {batch} of 6, saved in "
    assert where + str(run.relative_to(tmp_path)) in done.err.splitlines()[-2]
    assert (state(run)["state"], state(run)["epoch"]) == ("interrupted", epoch)
    again = finish(start("train", gated.name, *keys, cwd=tmp_path))
    assert again.code == 0, again.err
    assert attempts(run) == ["1: from epoch 0", f"2: from epoch {epoch}, batch {batch}"]
    assert kills.differences(undisturbed, run) == []


def test_one_more_stops_at_once(gated: Path, tmp_path: Path) -> None:
    keys = [*GATED, "model.args.at=10"]
    undisturbed = quiet(gated, *keys)
    process = start("train", gated.name, *keys, cwd=tmp_path)
    in_a_batch(tmp_path, process)
    process.send_signal(signal.SIGTERM)
    assert heard(process) == "stopping after this batch; once more stops at once\n"
    time.sleep(0.6)  # sooner it would be the same wish
    process.send_signal(signal.SIGINT)
    done, run = finish(process), only(tmp_path / "runs")  # the gate is still closed
    assert done.code == 130 and "interrupted after epoch 1, saved in " in done.err
    assert state(run)["state"] == "interrupted" and not (run / "part.pt").exists()
    (tmp_path / "gate").touch()
    assert finish(start("train", gated.name, *keys, cwd=tmp_path)).code == 0
    assert kills.differences(undisturbed, run) == []


class Tell(Observer):
    """After a batch of the first epoch, lets the network raise a signal in its next pass."""

    def __init__(self, number: signal.Signals, batch: int, swallows: bool = False) -> None:
        self.number, self.at, self.swallows = number, batch, swallows

    def batch(self, done: int, batches: int) -> None:
        if done == self.at:
            gated = sys.modules["gated"]
            vars(gated)["swallows"] = self.swallows
            gated.told.append(self.number)
            self.at = 0


@pytest.mark.parametrize("number", SIGNALS, ids=lambda n: n.name)
@pytest.mark.parametrize(
    ("batch", "swallows", "said"),
    [
        (2, False, "in epoch 1 after batch 3 of 6"),
        (2, True, "in epoch 1 after batch 3 of 6"),
        (6, False, "after epoch 0"),  # while it is evaluated
        (6, True, "after epoch 1"),
    ],
)
def test_a_signal_in_a_batch_or_an_evaluation(
    gated: Path, tmp_path: Path, number: signal.Signals, batch: int, swallows: bool, said: str
) -> None:
    undisturbed = train(load_config(gated, GATED), tmp_path / "quiet", device="cpu").dir
    before = [signal.getsignal(one) for one in SIGNALS]
    told = Tell(number, batch, swallows)
    with pytest.raises(Interrupted, match=f"^interrupted {said}, saved in"), interruptible():
        train(load_config(gated, GATED), tmp_path / "runs", device="cpu", observer=told)
    assert [signal.getsignal(one) for one in SIGNALS] == before
    run = train(load_config(gated, GATED), tmp_path / "runs", device="cpu").dir
    assert kills.differences(undisturbed, run) == []


def test_from_python_ctrl_c_stops_at_any_moment(gated: Path, tmp_path: Path) -> None:
    undisturbed = train(load_config(gated, GATED), tmp_path / "quiet", device="cpu").dir
    told = Tell(signal.SIGINT, 3)
    with pytest.raises(KeyboardInterrupt, match=r"^interrupted after epoch 0, saved in"):
        train(load_config(gated, GATED), tmp_path / "runs", device="cpu", observer=told)
    run = only(tmp_path / "runs")
    assert state(run)["state"] == "interrupted" and not (run / "part.pt").exists()
    train(load_config(gated, GATED), tmp_path / "runs", device="cpu")
    assert kills.differences(undisturbed, run) == []


def test_killed_within_an_epoch_it_goes_on_from_what_was_saved(gated: Path, tmp_path: Path) -> None:
    keys = [*GATED, "model.args.at=10", "objective=trades", "ema=0.9"]
    undisturbed = quiet(gated, *keys)
    process = subprocess.Popen(
        [sys.executable, "-c", OFTEN, "train", gated.name, *keys], cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    in_a_batch(tmp_path, process)
    process.kill()
    assert finish(process).code == -signal.SIGKILL
    (tmp_path / "gate").touch()
    again = finish(start("train", gated.name, *keys, cwd=tmp_path))
    assert again.code == 0, again.err
    run = only(tmp_path / "runs")
    epoch, _, batch = attempts(run)[1].removeprefix("2: from ").partition(", ")
    assert epoch in ("epoch 0", "epoch 1") and batch.startswith("batch ")
    assert kills.differences(undisturbed, run) == []


def sweep(gated: Path, *more: str) -> list[str]:
    return ["sweep", gated.name, *GATED, *more, "--seeds", "0-1", "--jobs", "1", "--json"]


def test_a_sweep_goes_on_from_within_an_epoch(gated: Path, tmp_path: Path) -> None:
    command = sweep(gated, "model.args.at=8", "ema=0.9")
    (tmp_path / "gate").touch()
    first: Done = finish(start(*command, "--runs-dir", "quiet", cwd=tmp_path))
    assert first.code == 0, first.err
    (tmp_path / "gate").unlink()
    (tmp_path / "reached").unlink()
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
    runs = [Path(run["run_dir"]) for run in json.loads(again.out)["runs"]]
    assert [attempts(tmp_path / run) for run in runs] == [
        ["1: from epoch 0", "2: from epoch 1, batch 2"], ["1: from epoch 0"],
    ]  # fmt: skip
    for run in runs:
        other = Path("quiet", *run.parts[1:])
        assert kills.differences(tmp_path / other, tmp_path / run) == []
