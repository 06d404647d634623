"""Runs that have lost a file: what each command says, what is written again, what is refused."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from advtrain import load_config, train
from tests.helpers.command_line import TINY, Done


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a config and its finished run."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "tiny.yaml").write_text(TINY)
    with contextlib.chdir(folder):  # paths in the verdict are as seen from there
        train(load_config("tiny.yaml"))
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """The run, copied to where the command line works; seen from there."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    (found,) = (tmp_path / "runs").rglob("status.json")
    return found.parent.relative_to(tmp_path)


@pytest.fixture
def lose(run: Path, tmp_path: Path) -> Callable[..., None]:
    """Delete files of the run, and say in its status.json how it stands."""

    def lost(*names: str, **status: object) -> None:
        for name in names:
            (tmp_path / run / name).unlink()
        if status:
            file = tmp_path / run / "status.json"
            file.write_text(json.dumps(json.loads(file.read_text()) | status))

    return lost


def refused(done: Done, says: str) -> None:
    assert (done.code, done.out) == (2, ""), done
    assert done.err.splitlines() == [says]


METRICS = (
    "metrics.csv is missing, though 3 epochs are done: restore what is missing, or move the "
    "directory away to start afresh"
)


@pytest.mark.parametrize("state", ["finished", "interrupted"])
def test_lost_epochs_are_said_by_every_command(advtrain, run: Path, lose, state: str) -> None:
    lose("metrics.csv", state=state)
    refused(advtrain("train", "tiny.yaml"), f"{run}: {METRICS}")
    assert f"would      refuse: {METRICS}" in advtrain("train", "tiny.yaml", "--dry-run").out
    for command in ("diagnose", "report"):
        refused(advtrain(command, run), f"{run}: {METRICS}")
    refused(advtrain("diagnose", "runs"), f"{run}: {METRICS}")
    assert "missing: metrics.csv" in advtrain("status").out
    (listed,) = json.loads(advtrain("status", "--json").out)["runs"]
    assert listed["missing"] == ["metrics.csv"]
    done: Done = advtrain("sweep", "tiny.yaml", "--seeds", "0", "--dry-run")
    assert done.code == 0 and "Traceback" not in done.err


def test_a_sweep_shows_no_verdict_whose_epochs_are_lost(advtrain, run: Path, lose) -> None:
    lose("metrics.csv")
    done: Done = advtrain("sweep", "tiny.yaml", "--seeds", "0", "--json")
    (listed,) = json.loads(done.out)["runs"]
    assert listed["headline"] == f"cannot tell: {METRICS}"
    assert f"no verdict: seed=0: {METRICS}; {run}" in done.err


@pytest.mark.parametrize("content", [None, "{", "3"])
def test_a_lost_verdict_is_written_again(
    advtrain, run: Path, tmp_path: Path, content: str | None
) -> None:
    file, status = tmp_path / run / "verdict.json", tmp_path / run / "status.json"
    before, attempt = file.read_bytes(), json.loads(status.read_text())["attempt"]
    file.unlink()
    if content is not None:
        file.write_text(content)
    assert advtrain("status").code == 0
    done: Done = advtrain("train", "tiny.yaml", "--json")
    assert done.code == 0 and json.loads(done.out)["verdict"] == json.loads(before)
    assert done.err == f"warning: {run}: verdict.json is missing or damaged, and is written again\n"
    assert file.read_bytes() == before
    assert json.loads(status.read_text())["attempt"] == attempt
    assert advtrain("train", "tiny.yaml").err == ""  # once


def test_a_lost_config_is_written_again(advtrain, run: Path, tmp_path: Path, lose) -> None:
    before = (tmp_path / run / "config.yaml").read_text()
    lose("config.yaml")
    says = f"{run}: config.yaml is missing; the command that trained the run writes it again"
    for command in ("diagnose", "evaluate"):
        refused(advtrain(command, run), says)
    refused(advtrain("train", "tiny.yaml", "epochs=5", "--from", run), f"{tmp_path}/{says}")
    assert "write config.yaml again" in advtrain("train", "tiny.yaml", "--dry-run").out
    done: Done = advtrain("train", "tiny.yaml")
    assert done.code == 0 and "config.yaml is missing, and is written again" in done.err
    written = (tmp_path / run / "config.yaml").read_text()
    assert written.partition("\n")[2] == before.partition("\n")[2]
    assert written.startswith(f"# Made by advtrain. Repeat with: advtrain train {run}/config.yaml")


def test_a_lost_status_is_said_and_written_again(advtrain, run: Path, tmp_path: Path, lose) -> None:
    before = json.loads((tmp_path / run / "status.json").read_text())
    weights = (tmp_path / run / "last.pt").read_bytes()
    lose("status.json")
    says = "its status.json is missing; the command that trained the run writes it again"
    refused(advtrain("diagnose", run), f"{run}: {says}")
    refused(advtrain("diagnose", "runs"), f"{run}: {says}")
    assert f"{run}: {says}; left out" in advtrain("evaluate", "runs").err
    listed = advtrain("status").out
    assert "unreadable" in listed and str(run) in listed and says in listed
    assert advtrain("train", "tiny.yaml").code == 0
    after = json.loads((tmp_path / run / "status.json").read_text())
    same = ("state", "epoch", "epochs", "best_epoch", "stopped", "bad_epoch")
    assert [after[key] for key in same] == [before[key] for key in same]
    assert (tmp_path / run / "last.pt").read_bytes() == weights


def test_lost_weights_are_not_trained_again_over_what_is_there(
    advtrain, run: Path, tmp_path: Path, lose
) -> None:
    rows = (tmp_path / run / "metrics.csv").read_bytes()
    lose("last.pt", state="interrupted", epoch=2)
    says = METRICS.replace("metrics.csv", "last.pt").replace("3", "2")
    refused(advtrain("train", "tiny.yaml"), f"{run}: {says}")
    lose("status.json")
    done: Done = advtrain("train", "tiny.yaml")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert done.err.startswith(f"{run}: last.pt and status.json are missing beside metrics.csv: ")
    assert (tmp_path / run / "metrics.csv").read_bytes() == rows


def test_a_finished_run_needs_no_weights(advtrain, run: Path, lose) -> None:
    lose("last.pt", "best.pt")
    done: Done = advtrain("train", "tiny.yaml")
    assert (done.code, done.err) == (0, "")
    assert "missing" not in advtrain("status").out


def test_an_evaluation_says_that_the_best_weights_are_lost(advtrain, run: Path, lose) -> None:
    lose("best.pt", best_epoch=2)
    done: Done = advtrain("evaluate", run, "--images", 10, "--steps", 1, "--restarts", 1)
    assert done.code == 0
    assert "best.pt is missing (epoch 2 was the best on validation), so last.pt is" in done.err


def test_epochs_cut_off_are_said(advtrain, run: Path, tmp_path: Path) -> None:
    file = tmp_path / run / "metrics.csv"
    file.write_text("".join(file.read_text().splitlines(keepends=True)[:3]))
    says = f"{run}: metrics.csv ends with epoch 2, though 3 epochs are done; restore the file"
    refused(advtrain("diagnose", run), says)
    done: Done = advtrain("train", "tiny.yaml")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"{run}/metrics.csv: expected the rows of epochs 1 to 3")


def test_a_verdict_without_provenance_says_so(advtrain, run: Path, lose) -> None:
    lose("provenance.json")
    done: Done = advtrain("diagnose", run)
    assert done.code == 0 and "note: provenance.json is missing: the number of test" in done.out


def test_an_epoch_that_ended_as_not_finite_has_no_weights_to_lose(
    advtrain, tmp_path: Path, tiny: Path
) -> None:
    assert advtrain("train", tiny, "lr=1e30").code == 0
    (file,) = (tmp_path / "runs").rglob("status.json")
    assert not (file.parent / "last.pt").exists()
    for changed in ({}, {"state": "interrupted", "stopped": ""}):  # killed just before its end
        file.write_text(json.dumps(json.loads(file.read_text()) | changed))
        assert "missing" not in advtrain("status").out
        done: Done = advtrain("train", tiny, "lr=1e30")
        assert (done.code, "missing" in done.err) == (0, False)
