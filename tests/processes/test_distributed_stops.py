"""One process of several ends, or all are stopped: what is kept, and how the run goes on."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from advtrain import load_config, train
from advtrain.learning.data import splits
from advtrain.learning.order import batches_of
from advtrain.store.run_status import read_status
from tests.helpers import kills, normed_network
from tests.helpers.command_line import TINY, Done, finish, start
from tests.helpers.picture_folder import CPU, folder_of_images
from tests.helpers.processes import wait_until
from tests.helpers.run_files import only_run
from tests.helpers.stopped_together import CASES, PLACES
from tests.helpers.torchrun import close, lines_of_its_own, torchrun, trained

NET = "model=import:fallible:Net"
FALLIBLE = '''\
"""A network that in its ninth pass in training mode ends, fails, or asks for a stop."""

import os, signal, time
from torch import nn
from advtrain.process.signals import asked

class Net(nn.Module):
    def __init__(self, in_shape, num_classes):
        super().__init__()
        self.out = nn.Linear(64, num_classes)
        self.unused = nn.Linear(2, 2)  # which one process does not mind either
        self.passes = 0

    def forward(self, x):
        self.passes += self.training
        how, rank = os.environ.get("FAILS", "no 0").split()
        if self.passes == 9 and self.training and rank == os.environ.get("RANK"):
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "raises":
                raise ValueError("of this process alone")
            pids = {"torchrun": [os.getppid()], "alone": [os.getpid()], "twice": [os.getpid()] * 2}
            for pid in pids[how] if how in pids else ():
                os.kill(pid, signal.SIGTERM)
                time.sleep(0.6)  # longer than what counts as one wish
                while not asked():
                    time.sleep(0.01)
        return self.out(x.flatten(1))
'''


def test_a_killed_process_ends_the_run_which_goes_on_with_one(
    advtrain: Callable[..., Done], tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "fallible.py").write_text(FALLIBLE)
    keys = [tiny, NET, "epochs=4"]
    done = trained(tmp_path, *keys, FAILS="killed 1")
    run = only_run(tmp_path / "runs")
    status = read_status(run)
    assert done.code == 1 and status
    assert (status.state, status.epoch) == ("interrupted", 1)  # of 6 steps
    # torchrun's SIGTERM may come before the connection is seen to be closed.
    assert status.error in ("another process of this run ended", "")
    assert any("saved" in line for line in lines_of_its_own(done))
    alone = advtrain("train", *keys, "--resume", "require")
    assert alone.code == 0 and "processes was 2, is now 1" in alone.err
    quiet = train(load_config(tiny, keys[1:]), tmp_path / "quiet", device="cpu")
    close(pd.read_csv(run / "metrics.csv"), quiet.metrics)


def test_an_error_of_one_process_is_said_by_it(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "fallible.py").write_text(FALLIBLE)
    keys = [tiny, NET]
    done = trained(tmp_path, *keys, FAILS="raises 1")
    status = read_status(only_run(tmp_path / "runs"))
    assert done.code == 1 and status and (status.state, status.epoch) == ("interrupted", 1)
    assert done.err.count("ValueError: of this process alone") == 1
    failed = trained(tmp_path, *keys, FAILS="raises 0")
    status = read_status(only_run(tmp_path / "runs"))
    assert failed.code == 1 and status and status.state == "failed"
    assert status.error == "ValueError: of this process alone"
    assert len(lines_of_its_own(failed)) == 3, failed.err  # where, an epoch, the error


@pytest.mark.parametrize("asked", ["torchrun 1", "alone 1", "twice 0"])
def test_whoever_is_asked_all_stop_after_that_batch(tiny: Path, tmp_path: Path, asked: str) -> None:
    (tmp_path / "fallible.py").write_text(FALLIBLE)
    done = trained(tmp_path, tiny, NET, FAILS=asked)
    assert done.code == 1, done.err  # torchrun's own, whatever theirs
    run = only_run(tmp_path / "runs")
    status = read_status(run)
    assert status and (status.state, status.epoch, status.error) == ("interrupted", 1, "")
    where = "interrupted in epoch 2 after batch 3 of 6, saved in "
    assert done.err.count(where) == done.err.count("to go on: the same command") == 1
    assert "stopped with" not in done.err  # by one that follows
    position = kills.load(run / "part.pt")["position"]
    assert position["done"] == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_process_that_waits_for_the_others_can_be_stopped(
    tiny: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    alone = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2",
             "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}  # fmt: skip
    process = start("train", tiny, cwd=tmp_path, env=alone)

    def waits() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return True
        return process.poll() is not None

    wait_until(waits)
    process.send_signal(number)
    assert finish(process).code in (-number, 130)  # the latter if it has yet to begin to wait
    assert not (tmp_path / "runs").exists()


def test_runs_of_several_stopped_within_epochs_equal_those_never_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "normed.py").write_text(normed_network.NET)
    monkeypatch.setattr(splits, "RESIDENT_BYTES", 0)
    pictures = tmp_path / "pictures"
    folder_of_images(pictures, "RGB")
    for case in CASES:
        text = TINY.replace("name: tiny", f"name: {case}")
        if case == "streamed":
            text = text.replace("{name: digits,", f"{{name: image_folder, root: {pictures},")
        (tmp_path / f"{case}.yaml").write_text(text)
    done = finish(torchrun(2, "tests.helpers.stopped_together", tmp_path, cwd=tmp_path))
    assert done.code == 0, done.err
    for case in CASES:
        (quiet,), (run,) = (tmp_path.glob(f"{kind}/{case}/*") for kind in ("quiet", "stopped"))
        assert kills.differences(quiet, run) == [], case
        log = (run / "log.txt").read_text()
        assert all(f"from epoch {e}, batch {b}" in log for e, b in PLACES), case

    config = load_config(tmp_path / "streamed.yaml", CASES["streamed"])
    images = splits.load_data(config.dataset, CPU).train
    left = batches_of(len(images), 7, 0, 2, processes=2)[3:]
    for rank in range(2):
        decoded = json.loads((tmp_path / f"{rank}.json").read_text())
        share = [str(images.files[i]) for batch in left for i in batch[rank::2]]
        assert len(share) > 0 and sorted(decoded) == sorted(share)
