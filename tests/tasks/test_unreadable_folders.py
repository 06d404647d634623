"""Folders and lists of inputs of which some cannot be judged: what is said, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.command_line import Done

GOOD = "epoch,train_robust_loss,test_robust_acc\n" + "".join(
    f"{n},{2 - n / 20},{n / 40}\n" for n in range(1, 21)
)
BAD = "epoch,train_robust_loss\n1,high\n"
SAYS = "logs/bad.csv:2: train_robust_loss: expected a number, or nothing if not measured"


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "bad.csv").write_text(BAD)
    return folder


@pytest.mark.parametrize("path", ["logs", "logs/bad.csv"])
@pytest.mark.parametrize("command", ["diagnose", "report"])
def test_a_folder_with_one_unreadable_csv_is_as_the_csv_alone(
    advtrain, logs: Path, command: str, path: str
) -> None:
    done: Done = advtrain(command, path)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(SAYS) and done.err.count("\n") == 1


def test_several_unreadable_csvs_are_a_line_each(advtrain, logs: Path) -> None:
    (logs / "empty.csv").write_text("")
    for paths in (["logs"], ["logs/bad.csv", "logs/empty.csv"]):
        done: Done = advtrain("diagnose", *paths, "--check")
        assert (done.code, done.out) == (2, "")
        bad, empty = done.err.splitlines()
        assert bad.startswith(SAYS) and empty.startswith("logs/empty.csv: no epochs in it yet")


def test_one_that_can_be_judged_is_enough(advtrain, logs: Path) -> None:
    (logs / "good.csv").write_text(GOOD)
    done: Done = advtrain("diagnose", "logs")
    assert (done.code, done.err) == (0, "")
    assert done.out.count("expected a number") == 1  # and not once for each axis
    assert advtrain("diagnose", "logs", "--check").code == 3
    assert advtrain("report", "logs").code == 0


def test_the_json_is_there_though_nothing_could_be_judged(advtrain, logs: Path) -> None:
    done: Done = advtrain("diagnose", "logs", "--json")
    (result,) = json.loads(done.out)["results"]
    assert (result["path"], result["cause"]) == ("logs/bad.csv", "unjudged")
    assert done.code == 2 and done.err.startswith(SAYS)


def test_a_mistake_in_columns_is_said_once_for_all_files(advtrain, logs: Path) -> None:
    (logs / "good.csv").write_text(GOOD)
    done: Done = advtrain("diagnose", "logs", "--columns", "train_loss=x")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith("argument '--columns train_loss=x': no column 'train_loss'")
