"""`advtrain report` as one types it: the files it leaves, what it prints, what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.command_line import Done
from tests.helpers.synthetic import CONFIG, learning, write_csv, write_grid, write_run, write_sweep


def files(folder: Path) -> set[str]:
    return {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()}


def test_the_latest_sweep_becomes_a_folder(advtrain, tmp_path: Path) -> None:
    write_sweep(tmp_path / "runs" / "made")
    done: Done = advtrain("report")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == (
        "4 of 7 runs converge; 2 of 3 cells with every finished seed; 1 not finished"
    )
    rows = [line.split() for line in done.out.splitlines()]
    assert ["✓", "lr", "0.05"] in [row[:3] for row in rows], done.out
    assert "2/3  converged: seeds 0, 1; not finished: seed 2" in done.out
    assert done.out.splitlines()[-1] == "report/index.html" and done.err == ""
    found = files(tmp_path / "report")
    figures = {"verdicts-0", "accuracy-0", "overview"} | {
        f"lr-{lr}-{kind}" for lr in ("0.01", "0.05", "0.5") for kind in ("curves", "why")
    }
    assert found == {"index.html", ".made-by-advtrain"} | {
        f"figures/{name}.{kind}" for name in figures for kind in ("png", "svg", "pdf")
    } | {f"tables/{n}" for n in ("cells.csv", "cells.tex", "runs.csv", "runs.tex", "curves.csv")}
    page = (tmp_path / "report" / "index.html").read_text()
    assert "4 of 7 runs converge" in page and page.count("<svg") >= len(figures)


def test_the_same_input_gives_the_same_bytes(advtrain, tmp_path: Path) -> None:
    write_run(tmp_path / "runs", learning(20))
    for out in ("one", "two"):
        assert advtrain("report", "runs", "--out", out).code == 0
    for name in files(tmp_path / "one"):
        first, second = ((tmp_path / out / name).read_bytes() for out in ("one", "two"))
        if name == "index.html":
            second = second.replace(b"two/", b"one/")
        assert first == second, name


def test_json_holds_the_numbers_of_the_page(advtrain, tmp_path: Path) -> None:
    runs = [write_run(tmp_path / "runs", learning(20, seed=s), f"seed={s}") for s in (0, 1)]
    done = advtrain("report", "runs", "--json")
    found = json.loads(done.out)
    (cell,) = found["cells"]
    finals = [learning(20, seed=s)["test_robust_acc"][-1] for s in (0, 1)]
    assert cell["last"]["test_robust_acc"]["mean"] == pytest.approx(np.mean(finals))
    assert cell["last"]["test_robust_acc"]["sd"] == pytest.approx(np.std(finals, ddof=1))
    assert [run["path"] for run in cell["runs"]] == [f"runs/{run.name}" for run in runs]
    assert cell["bands"]["test_robust_acc"]["count"] == [2] * 20
    assert cell["chance"] == 0.1 and found["page"] == "report/index.html"
    assert set(found["files"]) == files(tmp_path / "report") - {".made-by-advtrain"}


def test_check_ends_with_3_unless_everything_converged(advtrain, tmp_path: Path) -> None:
    write_grid(tmp_path / "runs")
    assert advtrain("report", "runs", "--check").code == 3
    for run in (tmp_path / "runs").glob("lr0.5*"):
        shutil.rmtree(run)
    assert advtrain("report", "runs", "--check").code == 0


def test_a_second_report_removes_the_firsts_files_and_no_others(advtrain, tmp_path: Path) -> None:
    write_grid(tmp_path / "runs")
    assert advtrain("report", "runs").code == 0
    out = tmp_path / "report"
    for name in ("figures/mine.png", "notes.txt"):
        (out / name).write_text("mine")
    (tmp_path / "precious.csv").write_text("mine")
    with (out / ".made-by-advtrain").open("a") as made:
        made.write("../precious.csv\nfigures/../../precious.csv\nnotes.txt\n/etc/hostname\n")
    one = next((tmp_path / "runs").glob("lr0.05*s0*"))
    assert advtrain("report", one).code == 0
    left = files(out)
    assert "figures/lr-0.01-curves.png" not in left and "figures/verdicts-0.pdf" not in left
    assert {"figures/mine.png", "notes.txt"} <= left
    assert (tmp_path / "precious.csv").read_text() == "mine"


def test_a_reference_is_drawn_over_every_cell(advtrain, tmp_path: Path) -> None:
    write_run(tmp_path / "runs", learning(20))
    curve = {"Test Robust Acc": 100 * learning(30)["test_robust_acc"]}
    write_csv(tmp_path / "rice 2020.csv", curve)
    done = advtrain("report", "runs", "--reference", "rice 2020.csv", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["reference"]["name"] == "rice 2020" and found["reference"]["epochs"] == 30
    svg = next((tmp_path / "report" / "figures").glob("*curves.svg")).read_text()
    assert "rice 2020" in svg
    write_csv(tmp_path / "theirs.csv", {"adv": learning(30)["test_robust_acc"]})
    done = advtrain("report", "runs", "--reference", "theirs.csv")
    assert done.code == 2 and "no column of a loss or an accuracy" in done.err
    done = advtrain("report", "runs", "--reference", "theirs.csv", "--columns",
                    "test_robust_acc=adv")  # fmt: skip
    assert done.code == 0, done.err


def test_foreign_csvs_are_reported_on_as_diagnose_reads_them(advtrain, tmp_path: Path) -> None:
    curves = learning(60)
    write_csv(tmp_path / "log.csv", {"train": curves["train_robust_loss"],
                                     "adv": curves["test_robust_acc"]})  # fmt: skip
    names = ["--columns", "train_robust_loss=train", "--columns", "test_robust_acc=adv"]
    done = advtrain("report", "log.csv", *names, "--classes", 10)
    assert done.code == 0 and done.out.startswith("converged"), done.out + done.err
    assert advtrain("diagnose", "log.csv", *names, "--classes", 10).out.count("converged") >= 1


def test_two_recipes_are_compared_in_print(advtrain, tmp_path: Path) -> None:
    for seed in (0, 1):
        for objective, level in (("pgd", 0.5), ("mixed", 0.6)):
            text = CONFIG + f"objective: {objective}\n"
            curves = learning(20, level + 0.01 * seed, seed)
            write_run(tmp_path / objective, curves, f"seed={seed}", text=text)
    done = advtrain("report", "pgd", "mixed")
    assert "objective.name: pgd -> mixed" in done.out
    assert "last epoch: +10.0 [" in done.out and "paired by seed" in done.out
    assert {"differences.svg", "compare-a-run.svg"} <= {
        file.name for file in (tmp_path / "report" / "figures").iterdir()
    }


@pytest.mark.parametrize(
    "arguments, expected",
    [
        ([], "runs: no runs here yet; train one with `advtrain train CONFIG`"),
        (["nowhere"], "nowhere: "),
        (["empty"], "empty: neither a run nor a folder of runs or CSVs"),
        (["good", "--out", "file"], "argument '--out file': is a file; name a folder"),
        (["good", "--reference", "nowhere"], "argument '--reference nowhere': expected a CSV"),
        (["good", "--columns", "lr=rate"], "they are about CSVs; a run knows its own"),
        (["good", "--columns", "nonsense"], "expected NAME=COLUMN"),
    ],
)
def test_a_mistake_is_one_clear_line(
    advtrain, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    write_run(tmp_path / "good", learning(9))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    done = advtrain("report", *arguments)
    assert done.code == 2 and expected in done.err and len(done.err.splitlines()) == 1
    assert not (tmp_path / "report").exists()


def test_what_is_damaged_is_named_and_the_rest_is_shown(advtrain, tmp_path: Path) -> None:
    for name in ("whole", "half", "header", "nan", "failed", "unreadable"):
        write_run(tmp_path / "runs", learning(12), name=name)
    runs = tmp_path / "runs"
    text = (runs / "half" / "metrics.csv").read_text()
    (runs / "half" / "metrics.csv").write_text(text[: len(text) // 2].rpartition(",")[0])
    (runs / "header" / "metrics.csv").write_text(text.splitlines()[0] + "\n")
    lines = text.splitlines()
    nans = [",".join([str(i), str(i), *["nan"] * (lines[0].count(",") - 1)]) for i in range(1, 13)]
    (runs / "nan" / "metrics.csv").write_text("\n".join([lines[0], *nans]) + "\n")
    status = json.loads((runs / "failed" / "status.json").read_text())
    status |= {"state": "failed", "error": "OutOfMemoryError: no <b>memory</b>"}
    (runs / "failed" / "status.json").write_text(json.dumps(status))
    (runs / "unreadable" / "status.json").write_text("{")
    (runs / "whole" / "examples.npz").write_bytes(b"no zip")
    done = advtrain("report", "runs", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    outcomes = {Path(r["path"]).name: r["outcome"] for c in found["cells"] for r in c["runs"]}
    assert outcomes["failed"] == "failed" and outcomes["unreadable"] == "failed"
    assert len(outcomes) == 6
    notes = "\n".join(found["notes"])
    for name in ("half", "header", "unreadable", "examples.npz"):
        assert name in notes, name
    page = (tmp_path / "report" / "index.html").read_text()
    assert "no &lt;b&gt;memory&lt;/b&gt;" in page and "<b>memory" not in page
