"""What the commands share: where runs are, standard input, --quiet, --version, whole names."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

from advtrain import __version__
from advtrain.store.csv_cells import standard_input
from tests.helpers.command_line import Done
from tests.helpers.synthetic import learning, write_csv, write_run

LONG = "eps0.0313725-lr0.05-" + "schedule_piecewise_milestones_100_150-" * 3 + "s0-0123abcd"


def test_the_version_is_told(advtrain) -> None:
    done: Done = advtrain("--version")
    assert (done.code, done.out) == (0, f"advtrain {__version__}\n")


def test_quiet_tells_the_verdict_and_the_runs_directory(advtrain, tiny: Path) -> None:
    for _ in range(2):  # trained, and then found
        done: Done = advtrain("train", tiny, "--quiet")
        headline, path = done.out.splitlines()
        assert headline == "? cannot tell yet: fewer than 8 epochs"
        assert Path(path).is_dir() and (done.code, done.err) == (0, "")


@pytest.mark.parametrize("columns", ["60", "80", "200"])
def test_no_width_breaks_or_cuts_the_name_of_a_run(
    advtrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for name in (LONG, "short-s1-0123abcd"):
        run = write_run(tmp_path / "runs/made", learning(20), name=name)
    (run / "status.json").write_text("{")
    listed = advtrain("status").out.splitlines()
    (line,) = (line for line in listed if LONG in line)
    assert f"runs/made/{LONG}" in line.split()
    assert [line for line in listed if line != line.rstrip()] == []
    assert f"runs/made/{LONG}" in advtrain("diagnose", "runs").out.splitlines()
    for command in (["report", "runs"], ["status", "--json"]):
        assert "…" not in advtrain(*command).out


def test_a_note_stands_beside_the_name_not_in_it(advtrain, tmp_path: Path) -> None:
    write_run(tmp_path / "runs/made", learning(5), stopped="[stuck]", name="x")
    header, line = advtrain("status").out.splitlines()
    assert header.split()[-2:] == ["run", "note"]
    assert re.search(r" runs/made/x +\[stuck\]; missing: verdict.json$", line)


def test_status_and_report_look_where_the_runs_are(advtrain, tmp_path: Path) -> None:
    write_run(tmp_path / "mine/made", learning(20), name="run-s0-0123abcd")
    done: Done = advtrain("status", "--runs-dir", "mine")
    assert "mine/made/run-s0-0123abcd" in done.out
    assert advtrain("status", "mine").out.split("ago")[1] == done.out.split("ago")[1]
    found = json.loads(advtrain("report", "--runs-dir", "mine", "--json").out)
    assert [run["path"] for run in found["cells"][0]["runs"]] == ["mine/made/run-s0-0123abcd"]
    for command in ("status", "report"):
        done = advtrain(command, "mine", "--runs-dir", "mine")
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
        assert done.err.startswith("argument '--runs-dir mine': the paths to look at are given")


@pytest.fixture
def piped(monkeypatch: pytest.MonkeyPatch):
    """Pipe text into the command."""

    def pipe(text: str) -> None:
        standard_input.cache_clear()
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    yield pipe
    standard_input.cache_clear()


def test_a_csv_may_come_from_a_pipe(advtrain, tmp_path: Path, piped) -> None:
    text = write_csv(tmp_path / "log.csv", learning(20)).read_text()
    file = json.loads(advtrain("diagnose", "log.csv", "--json").out)["results"][0]
    piped(text)
    (found,) = json.loads(advtrain("diagnose", "-", "--json").out)["results"]
    assert found == file | {"path": "-"}
    piped(text)
    report = json.loads(advtrain("report", "-", "--reference", "-", "--json").out)
    assert [cell["label"] for cell in report["cells"]] == ["standard input"]
    assert report["reference"]["curves"] == report["cells"][0]["runs"][0]["curves"]


def test_a_mistake_in_a_pipe_is_located(advtrain, piped) -> None:
    piped("epoch,train_robust_loss\n1,high\n")
    done: Done = advtrain("diagnose", "-")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("-:2: train_robust_loss: expected a number")
    piped("")
    assert advtrain("diagnose", "-").err.startswith("-: no epochs in it yet")


@pytest.mark.parametrize("command", ["train", "sweep", "report", "diagnose", "evaluate", "status"])
def test_help_is_in_plain_words(advtrain, command: str) -> None:
    said = " ".join(advtrain(command, "--help").out.split())
    assert "insists" not in said and "refuses to" not in said and "anyone's" not in said
