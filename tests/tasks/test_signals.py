"""Ctrl-C and SIGTERM within a batch and within an evaluation."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from advtrain import load_config, train
from advtrain.errors import Interrupted
from advtrain.process.signals import interruptible
from tests.helpers import kills
from tests.helpers.gated_network import GATED, SIGNALS, Tell
from tests.helpers.run_files import only_run, state
from tests.helpers.stopped_runs import undisturbed


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
def test_a_signal_in_a_batch_or_an_evaluation_stops_the_run_there(
    gated: Path, tmp_path: Path, number: signal.Signals, batch: int, swallows: bool, said: str
) -> None:
    quiet = undisturbed(gated, *GATED)
    before = [signal.getsignal(one) for one in SIGNALS]
    told = Tell(number, batch, swallows)
    with pytest.raises(Interrupted, match=f"^interrupted {said}, saved in"), interruptible():
        train(load_config(gated, GATED), tmp_path / "runs", device="cpu", observer=told)
    assert [signal.getsignal(one) for one in SIGNALS] == before
    run = train(load_config(gated, GATED), tmp_path / "runs", device="cpu").dir
    assert kills.differences(quiet, run) == []


def test_from_python_ctrl_c_stops_at_any_moment(gated: Path, tmp_path: Path) -> None:
    quiet = undisturbed(gated, *GATED)
    told = Tell(signal.SIGINT, 3)
    with pytest.raises(KeyboardInterrupt, match=r"^interrupted after epoch 0, saved in"):
        train(load_config(gated, GATED), tmp_path / "runs", device="cpu", observer=told)
    run = only_run(tmp_path / "runs")
    assert state(run)["state"] == "interrupted" and not (run / "part.pt").exists()
    train(load_config(gated, GATED), tmp_path / "runs", device="cpu")
    assert kills.differences(quiet, run) == []
