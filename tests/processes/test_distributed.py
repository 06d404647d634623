"""Several processes train the run that one would, step by step, and through failures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from advtrain import load_config, train
from advtrain.records import COLUMNS, TIMES
from tests.helpers import together
from tests.helpers.command_line import finish
from tests.helpers.run_files import contents
from tests.helpers.shared import once
from tests.helpers.torchrun import close, lines_of_its_own, torchrun, trained


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """What each of 3 processes, whose shares differ in size, found of `together.CASES`."""

    def trained_together(folder: Path) -> list[Path]:
        done = finish(torchrun(3, "tests.helpers.together", folder, cwd=folder))
        assert done.code == 0, done.err
        return [folder / f"{rank}.pt" for rank in range(3)]

    return [torch.load(file) for file in once(tmp_path_factory, "together", trained_together)]


@pytest.mark.parametrize("case", [case for case in together.CASES if case not in ("local", "bad")])
def test_every_step_is_that_of_one_process(case: str, steps: list[Any]) -> None:
    one = together.found(case)
    for rank in steps:
        # Weights are of order 1; rounding is 1e-16 of that and grows a little with each step.
        torch.testing.assert_close(rank[case]["trace"], one["trace"], rtol=0, atol=1e-11)
        for ours, buffer in zip(rank[case]["buffers"], one["buffers"], strict=True):
            torch.testing.assert_close(ours, buffer, rtol=1e-10, atol=1e-11)
        for ours, record in zip(rank[case]["records"], one["records"], strict=True):
            for name, a, b in zip(COLUMNS, ours, record, strict=True):
                if name not in TIMES:
                    assert a == b or a == pytest.approx(b, rel=1e-7, abs=1e-9), name
        assert torch.equal(rank[case]["trace"], steps[0][case]["trace"])  # bit for bit


def test_local_batch_norm_differs_and_leaves_the_same_statistics_everywhere(
    steps: list[Any],
) -> None:
    one = together.found("local")
    assert (steps[0]["local"]["trace"][0] - one["trace"][0]).abs().max() > 1e-4
    for rank in steps:
        assert torch.equal(rank["local"]["trace"], steps[0]["local"]["trace"])
        for ours, leaders in zip(
            rank["local"]["buffers"], steps[0]["local"]["buffers"], strict=True
        ):
            assert torch.equal(ours, leaders)


def test_all_stop_at_the_batch_that_one_of_them_finds_bad(steps: list[Any]) -> None:
    one = together.found("bad")
    assert one["bad"][0] == "nonfinite" and one["bad"][1] in (1, 2, 3, 4)
    for rank in steps:
        assert rank["bad"]["bad"] == one["bad"]
        assert len(rank["bad"]["trace"]) == len(one["trace"])


def test_an_evaluation_shares_its_images_without_padding(steps: list[Any]) -> None:
    for count, *shared in zip((1, 2, 27), *(rank["scored"] for rank in steps), strict=True):
        for scores in shared:
            assert scores == pytest.approx(together.scored(count), rel=1e-7)


def test_two_processes_make_the_run_of_one_in_its_directory(tiny: Path, tmp_path: Path) -> None:
    keys = ["eps=0.05", "evaluation.eps=[0.02]", "batch_size=33", "ema=0.9", "epochs=9",
            "schedule=constant"]  # fmt: skip
    done = trained(tmp_path, tiny, *keys, "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)  # once, then
    assert done.err.count("epoch 9/9") == 1
    run = tmp_path / result["run_dir"]
    one = train(load_config(tiny, keys), tmp_path / "one")
    assert run.name == one.dir.name
    close(pd.read_csv(run / "metrics.csv"), one.metrics)
    assert (run / "curve_eps.csv").exists()
    (session,) = json.loads((run / "provenance.json").read_text())["sessions"]
    assert session["processes"] == 2
    states = [
        [axis["state"] for axis in v["axes"].values()] for v in (result["verdict"], one.verdict)
    ]
    assert states[0] == states[1] and "too_short" not in states[0]
    assert result["verdict"]["headline"] == one.verdict["headline"]


def test_two_processes_leave_a_finished_run_alone(tiny: Path, tmp_path: Path) -> None:
    run = train(load_config(tiny), tmp_path / "runs").dir
    before = contents(run)
    again = trained(tmp_path, tiny)
    assert again.code == 0 and again.out.count("finished after 3 of 3 epochs") == 1
    assert contents(run) == before


def test_a_mistake_is_said_once_and_nothing_is_written(tiny: Path, tmp_path: Path) -> None:
    for key, said in (
        ("attack.stepz=3", "argument 'attack.stepz=3': attack.stepz: unknown key"),
        ("batch_size=3", "argument 'batch_size=3': training.batch_size: 3 images a step are too"),
    ):
        done = trained(tmp_path, tiny, key)
        (line,) = lines_of_its_own(done)
        assert line.startswith(said) and not done.out
        assert "exitcode  : 2" in done.err and done.code == 1  # the latter is torchrun's
        assert not [*tmp_path.glob("runs/*")]
