"""A report reads each file of its runs once; so do `diagnose` and `status`."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from advtrain.store.examples_npz import of_images, to_bytes
from tests.helpers.command_line import Done
from tests.helpers.opened import opened_in
from tests.helpers.synthetic import learning, write_csv, write_evaluation, write_run

Command = Callable[..., Done]
SMALL = ("status.json", "provenance.json", "config.yaml")
CURVES = ("metrics.csv", "verdict.json")
BESIDE = ("evaluation.csv", "curve_eps.csv", "examples.npz", "final.csv")


def write_whole_sweep(folder: Path) -> Path:
    """A sweep of two finished runs with every file that a run can have, and one that waits."""
    sweep = folder / "sweeps" / "0123abcd"
    sweep.mkdir(parents=True)
    rows = [["lr", "seed", "state", "run_dir", "error"]]
    for lr in ("0.05", "0.1", "0.2"):
        waits = {"state": "queued", "attempt": 0} if lr == "0.2" else {}
        run = write_run(folder, {} if waits else learning(12), f"lr={lr}", **waits)
        (run / "verdict.json").write_text("{}")
        write_evaluation(run, {"clean": 0.8, "pgd-50-10": 0.5})
        (run / "curve_eps.csv").write_text("eps,robust_loss,robust_acc,images\n0.1,1,0.5,40\n")
        image = np.full((1, 1, 8, 8), 0.5)
        (run / "examples.npz").write_bytes(
            to_bytes(of_images("linf", image, np.array([3]), np.array([0])))
        )
        rows.append([lr, "0", "finished", str(run), ""])
    with (sweep / "sweep.csv").open("w", newline="") as out:
        csv.writer(out).writerows(rows)
    (sweep / "bands.csv").write_text("lr,text\n")
    return sweep


def by_name(opened: Counter[str]) -> dict[str, set[int]]:
    """How often the files of each name were opened."""
    found: dict[str, set[int]] = {}
    for path, times in opened.items():
        found.setdefault(Path(path).name, set()).add(times)
    return found


@pytest.mark.parametrize("named", ["the latest", "the sweep", "the folder", "a run"])
def test_a_report_reads_each_file_once(advtrain: Command, tmp_path: Path, named: str) -> None:
    sweep = write_whole_sweep(tmp_path / "runs" / "made")
    run = next((tmp_path / "runs" / "made").glob("lr0.05*"))
    paths = {"the latest": [], "the sweep": [sweep], "the folder": ["runs"], "a run": [run]}[named]
    with opened_in(tmp_path / "runs") as opened:
        assert advtrain("report", *paths).code == 0
    files = {*SMALL, *CURVES, *BESIDE}
    tables = {"sweep.csv", "bands.csv"} if named in ("the latest", "the sweep") else set()
    assert by_name(opened) == {name: {1} for name in files | tables}


def test_a_report_on_csvs_reads_each_once(advtrain: Command, tmp_path: Path) -> None:
    curves = learning(20)
    (tmp_path / "logs").mkdir()
    for name in ("a.csv", "b.csv", "published.csv"):
        write_csv(tmp_path / "logs" / name, {
            "loss": curves["train_robust_loss"], "test_robust_acc": curves["test_robust_acc"],
            "grad_norm": curves["grad_norm"]})  # fmt: skip
    with opened_in(tmp_path / "logs") as opened:
        done = advtrain("report", "logs/a.csv", "logs/b.csv", "--reference", "logs/published.csv",
                        "--columns", "train_robust_loss=loss", "--json")  # fmt: skip
    assert done.code == 0, done.err
    assert opened == {"a.csv": 1, "b.csv": 1, "published.csv": 1}
    assert '"grad_norm"' in done.out, "shown beside columns that are renamed"


@pytest.mark.parametrize("damaged", ["status.json", "config.yaml", "metrics.csv"])
def test_a_damaged_file_is_read_once_too(advtrain: Command, tmp_path: Path, damaged: str) -> None:
    run = write_run(tmp_path / "runs", learning(9))
    (run / damaged).write_text("{")
    with opened_in(run) as opened:
        assert advtrain("report", "runs").code == 0
    assert opened[damaged] == 1 and set(opened.values()) == {1}


def test_a_diagnosis_reads_each_file_once(advtrain: Command, tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs", learning(9))
    (run / "verdict.json").write_text("{}")
    with opened_in(run) as opened:
        assert advtrain("diagnose", "runs").code == 0
    assert opened == dict.fromkeys((*SMALL, *CURVES), 1)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_status_reads_two_files_of_each_run_once(
    advtrain: Command, tmp_path: Path, options: list[str]
) -> None:
    run = write_run(tmp_path / "runs", learning(9))
    (run / "verdict.json").write_text("damaged, which is no concern of a listing")
    (run / "final.csv").write_text("split\n")
    with opened_in(run) as opened:
        assert advtrain("status", *options).code == 0
    assert opened == {"status.json": 1, "metrics.csv": 1}


def test_a_column_beside_that_holds_no_numbers_costs_no_verdict(
    advtrain: Command, tmp_path: Path
) -> None:
    curves = learning(30)
    file = write_csv(tmp_path / "log.csv", {name: curves[name] for name in
                                            ("train_robust_loss", "test_robust_acc", "grad_norm",
                                             "seconds")})  # fmt: skip
    lines = file.read_text().splitlines()
    lines[5] = lines[5].rpartition(",")[0] + ",0:01:05"
    file.write_text("\n".join(lines) + "\n")
    done = advtrain("report", "log.csv", "--classes", 10, "--json")
    assert done.code == 0 and '"notes": []' in done.out and '"grad_norm"' in done.out
