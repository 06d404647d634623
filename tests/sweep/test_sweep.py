"""A sweep: what it leaves, what it shows, what it repeats."""

from __future__ import annotations

import csv
import io
import json
import re
import statistics
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from advtrain.config.schema import Config
from advtrain.config.values import Value
from advtrain.store.run_status import read_status
from advtrain.sweep.bands import read_refinement
from advtrain.sweep.board import Board
from advtrain.sweep.launch.machine import Seat, assign, visible_gpus
from advtrain.sweep.plan import plan, read_study
from advtrain.sweep.view import LiveGrid
from tests.helpers.made_workers import Curves
from tests.helpers.mischief import table
from tests.helpers.run_files import attempts
from tests.helpers.synthetic import at_chance, learning


def test_a_sweep_leaves_two_tables_of_its_runs_and_cells(advtrain, tiny: Path, made_runs) -> None:
    done = advtrain("sweep", tiny, "eps=0.05,0.1", "lr=0.05,0.5", "--seeds", "0-1", "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result.keys() == {"sweep_csv", "cells_csv", "runs", "failed"}
    assert result["failed"] == 0 and len(result["runs"]) == 8
    first = result["runs"][0]
    assert first.keys() == {"run_dir", "state", "overrides", "seed", "headline"}
    assert first["overrides"] == ["eps=0.05", "lr=0.05"] and first["seed"] == 0
    assert {run["state"] for run in result["runs"]} == {"finished"}
    rows = table(done)
    assert list(rows[0]) == [
        "eps", "lr", "seed", "state", "converged", "cause", "inner", "train", "held_out", "level",
        "best_robust_acc", "last_robust_acc", "best_epoch", "epochs", "seconds", "run_dir", "error",
    ]  # fmt: skip
    row = next(r for r in rows if (r["eps"], r["lr"], r["seed"]) == ("0.1", "0.5", "1"))
    run = Path(row["run_dir"])
    frame, status = pd.read_csv(run / "metrics.csv"), read_status(run)
    assert row["epochs"] == "3" and status
    assert float(row["last_robust_acc"]) == frame.test_robust_acc.iloc[-1], "it has no final.csv"
    assert int(row["best_epoch"]) == status.best_epoch
    assert float(row["best_robust_acc"]) == frame.test_robust_acc[status.best_epoch - 1]
    assert float(row["seconds"]) == pytest.approx(frame.seconds.sum())
    assert row["train"] == json.loads((run / "verdict.json").read_text())["axes"]["train"]["state"]
    cells = table(done, "cells_csv")
    cell = next(cell for cell in cells if (cell["eps"], cell["lr"]) == ("0.1", "0.5"))
    accuracies = [
        float(r["last_robust_acc"]) for r in rows if (r["eps"], r["lr"]) == ("0.1", "0.5")
    ]
    assert (cell["seeds"], cell["finished"], cell["undecided"]) == ("2", "2", "2")
    assert float(cell["mean_robust_acc"]) == pytest.approx(sum(accuracies) / 2)
    assert float(cell["sd_robust_acc"]) == pytest.approx(statistics.stdev(accuracies))
    assert float(cell["max_robust_acc"]) == max(accuracies)
    assert float(cell["high"]) == pytest.approx(0.6576, abs=1e-3)  # Wilson, 0 of 2
    assert len(json.loads(advtrain("status", "runs", "--json").out)["runs"]) == 8
    assert len(json.loads(advtrain("diagnose", "runs", "--json").out)["results"]) == 8


def test_the_same_command_again_trains_nothing_and_a_grown_grid_the_new_cells(
    advtrain, tiny: Path, made_runs
) -> None:
    first = advtrain("sweep", tiny, "lr=0.05,0.5", "--json")
    runs = [Path(run["run_dir"]) for run in json.loads(first.out)["runs"]]
    files = {file: file.read_bytes() for run in runs for file in run.iterdir()}
    table_before = Path(json.loads(first.out)["sweep_csv"]).read_bytes()
    again = advtrain("sweep", tiny, "lr=.05,5e-1", "--json")
    assert "2 finished, 0 to train" in again.err
    assert json.loads(again.out)["sweep_csv"] == json.loads(first.out)["sweep_csv"]
    grown = advtrain("sweep", tiny, "lr=0.05,0.5,0.1", "--json")
    assert "2 finished, 1 to train" in grown.err
    assert json.loads(grown.out)["sweep_csv"] != json.loads(first.out)["sweep_csv"]
    assert Path(json.loads(first.out)["sweep_csv"]).read_bytes() == table_before
    assert {file: file.read_bytes() for file in files} == files


def test_rerun_failed_repeats_failures_and_nothing_else(advtrain, tiny: Path, made_runs) -> None:
    ends = {0.05: "finished", 0.1: "RuntimeError: as it was told", 0.2: "died", 0.5: "finished"}
    made_runs.ends = lambda config: ends[config.optimizer.lr]
    arguments = ["sweep", tiny, "lr=0.05,0.1,0.2", "--jobs", "1", "--json"]
    done = advtrain(*arguments)
    assert done.code == 1 and json.loads(done.out)["failed"] == 2
    ends[0.1] = ends[0.2] = "finished"
    made_runs.trained.clear()
    mended = advtrain("sweep", tiny, "lr=0.05,0.1,0.2,0.5", *arguments[3:], "--rerun", "failed")
    states = [run["state"] for run in json.loads(mended.out)["runs"]]
    assert mended.code == 0 and states == ["finished", "finished", "finished", "queued"]
    assert made_runs.trained == ["lr=0.1 seed=0", "lr=0.2 seed=0"]
    assert advtrain(*arguments).code == 0


def test_rerun_all_trains_each_run_from_the_start(advtrain, tiny: Path, made_runs) -> None:
    done = advtrain("sweep", tiny, "lr=0.05,0.5", "--json")
    runs = [Path(run["run_dir"]) for run in json.loads(done.out)["runs"]]
    (runs[0] / "notes.txt").write_text("mine")
    old = json.loads((runs[0] / "status.json").read_text())["heartbeat"]
    again = advtrain("sweep", tiny, "lr=0.05,0.5", "--json", "--rerun", "all")
    assert "0 finished, 2 to train" in again.err and again.code == 0
    status = json.loads((runs[0] / "status.json").read_text())
    assert status["attempt"] == 1 and status["heartbeat"] > old
    assert attempts(runs[0]) == ["1: from epoch 0"]
    assert (runs[0] / "notes.txt").read_text() == "mine"


def test_dry_run_shows_states_and_an_estimate_and_leaves_nothing(
    advtrain, tiny: Path, tmp_path: Path, made_runs
) -> None:
    done = advtrain("sweep", tiny, "lr=0.05,0.5", "--dry-run")
    assert done.code == 0 and not (tmp_path / "runs").exists()
    assert "2 runs, 2 to train" in done.out and "unknown before a run has an epoch" in done.out
    advtrain("sweep", tiny, "lr=0.5", "--seeds", "0")
    before = sorted(tmp_path.rglob("*"))
    done = advtrain("sweep", tiny, "lr=0.05,0.5", "--dry-run")
    lines = done.out.splitlines()
    assert lines[0].startswith("queued: lr=0.05 seed=0  runs/tiny/eps0.1-lr0.05-s0-")
    assert lines[1].startswith("finished: lr=0.5 seed=0  runs/tiny/eps0.1-lr0.5-s0-")
    assert re.search(r"2 runs, 1 to train; 1 workers; time: about \d+ s", done.out)
    plan = json.loads(advtrain("sweep", tiny, "lr=0.05,0.5", "--dry-run", "--json").out)
    assert plan["to_train"] == 1 and [r["state"] for r in plan["runs"]] == ["queued", "finished"]
    assert sorted(tmp_path.rglob("*")) == before


def test_the_estimate_is_epochs_left_times_their_mean_time(advtrain, tiny: Path, made_runs) -> None:
    done = advtrain("sweep", tiny, "lr=0.5", "--seeds", "0", "--json")
    run = json.loads(done.out)["runs"][0]["run_dir"]
    with Path(run, "metrics.csv").open(newline="") as lines:
        rows = list(csv.reader(lines))
    for i, row in enumerate(rows[1:]):
        row[rows[0].index("seconds")] = str(10 * (i + 1))
    Path(run, "metrics.csv").write_text("\n".join(",".join(row) for row in rows) + "\n")
    done = advtrain("sweep", tiny, "lr=0.05,0.1,0.5", "--jobs", "2", "--dry-run", "--json")
    assert json.loads(done.out)["seconds_left"] == 6 * 20 / 2


def test_the_map_has_a_glyph_for_each_run(advtrain, tiny: Path, made_runs) -> None:
    def curves(config: Config) -> Curves:
        found = learning(config.training.epochs if config.optimizer.lr > 0.05 else 3, 0.5)
        return at_chance(found) if config.optimizer.lr == 0.2 else found

    made_runs.curves = curves
    made_runs.ends = lambda config: "OSError: no" if config.optimizer.lr == 0.5 else "finished"
    done = advtrain("sweep", tiny, "lr=0.05,0.1,0.2,0.5", "eps=0.1,0.2", "--seeds", "0-1",
                    "epochs=30")  # fmt: skip
    assert done.out.splitlines()[:5] == [
        "lr \\ eps  0.1     0.2",
        "0.05      ?? 0/2  ?? 0/2",
        "0.1       ✓✓ 2/2  ✓✓ 2/2",
        "0.2       ✗✗ 0/2  ✗✗ 0/2",
        "0.5       !! 0/2  !! 0/2",
    ]
    assert "✗ not converged: 4 stuck" in done.out and "! failed: 4" in done.out
    assert done.out.count("failed: lr=0.5") == 4


def test_a_third_key_gives_a_map_each(advtrain, tiny: Path, made_runs) -> None:
    done = advtrain("sweep", tiny, "eps=0.1,0.2", "lr=0.1,0.5", "steps=1,2", "epochs=1")
    assert done.code == 0, done.err
    headings = [line for line in done.out.splitlines() if line.startswith("steps ")]
    assert headings == ["steps 1", "steps 2"] and done.out.count("eps \\ lr") == 2


def test_the_live_grid_shows_the_maps_the_runs_and_the_time_left(tiny: Path) -> None:
    study = read_study(tiny, ["eps=0.1,0.2", "lr=0.1,0.5", "epochs=30"], None, Path("runs"))
    board, screen = Board(study.keys), io.StringIO()
    board.add(plan(study))
    run, other, *_ = board.runs
    board.outcomes[run.path] = replace(board.of(run), state="running", epoch=10, seconds=20.0)
    board.outcomes[other.path] = replace(board.of(other), state="failed", error="OSError: no")
    console = Console(file=screen, force_terminal=True, width=100, height=40, no_color=True)
    grid = LiveGrid(board, study.axes, console)
    console.print(grid.render())
    text = screen.getvalue()
    assert "eps \\ lr" in text and "10/30" in text
    assert "1/4 runs, 1 failed, about 2 min 40 s left" in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--refine", "lr"], "argument '--refine lr': expected a key with several values"),
        (["eps=0.1,0.2", "--refine", "lrr"], "lrr: unknown key, did you mean lr?"),
        (["lr=0,0.1", "--refine", "lr"], "expected values > 0"),
        (["optimizer=sgd,adam", "--refine", "optimizer"], "expected a number, got 'sgd'"),
        (["lr=0.1,0.2", "--budget", "3"], "argument '--budget 3': it is about --refine KEY"),
        (["lr=0.1,0.2", "--refine", "lr", "--seeds", "0-2", "--budget", "2"], "takes 3 runs"),
        (["lr=0.1,0.2", "--device", "gpu"], "argument '--device gpu'"),
    ],
)
def test_options_that_cannot_be_are_refused(
    advtrain, tiny: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    done = advtrain("sweep", tiny, "--seeds", "0", *arguments)
    assert done.code == 2 and expected in done.err, done.err
    assert not (tmp_path / "runs").exists()


def test_gpus_are_shared_round_robin_and_cores_get_one_thread() -> None:
    one_each = assign("auto", ["0", "1"], 16, None, 8, {})
    assert one_each == [Seat("cuda", {"CUDA_VISIBLE_DEVICES": g}) for g in ("0", "1")]
    more = assign("cuda", ["0", "1"], 16, 5, 8, {})
    assert [seat.env["CUDA_VISIBLE_DEVICES"] for seat in more] == ["0", "1", "0", "1", "0"]
    assert assign("auto", [], 16, None, 3, {}) == [Seat("auto", {"OMP_NUM_THREADS": "1"})] * 3
    assert assign("cpu", [], 4, None, 9, {"OMP_NUM_THREADS": "2"}) == [Seat("cpu", {})] * 4
    assert len(assign("cpu", [], 4, 6, 9, {})) == 6 and len(assign("cpu", [], 4, None, 0, {})) == 1
    assert visible_gpus(None, 2) == ["0", "1"]
    assert visible_gpus("3,GPU-ab", 2) == ["3", "GPU-ab"] and visible_gpus("", 0) == []


def test_a_verdict_by_older_rules_is_given_anew(advtrain, tiny: Path, made_runs) -> None:
    arguments = ("sweep", tiny, "eps=0.05,0.1", "epochs=9", "--json")
    before = json.loads(advtrain(*arguments).out)["runs"]
    file = Path(before[0]["run_dir"]) / "verdict.json"
    old = json.loads(file.read_text()) | {"rules": 1, "headline": "as it was said once"}
    file.write_text(json.dumps(old))
    assert json.loads(advtrain(*arguments).out)["runs"] == before
    file.unlink()
    assert json.loads(advtrain(*arguments).out)["runs"] == before


def test_values_that_look_like_markup_are_shown_as_they_are(
    advtrain, tiny: Path, made_runs
) -> None:
    text = tiny.read_text()
    tiny.write_text(text.replace("{name: mlp, args: {width: 16, depth: 1}}", "import:tagged:Net"))
    tiny.with_name("tagged.py").write_text("def Net(tags): ...")
    done = advtrain("sweep", tiny, "model.args.tags=[/x],[red]", "epochs=1")
    assert done.code == 0 and "[/x]" in done.out and "[red]" in done.out


def test_between_whole_numbers_a_refinement_tries_whole_numbers(tiny: Path) -> None:
    study = read_study(tiny, ["model.args.width=4,64", "lr=0.01,0.1"], None, Path("runs"))
    assert read_refinement(study, "model.args.width", None).whole
    assert not read_refinement(study, "lr", None).whole
    study = read_study(tiny, ["train_size=1,100", "alpha=0.01,0.02"], None, Path("runs"))
    assert read_refinement(study, "train_size", None).whole


def test_a_refinement_that_meets_an_invalid_value_still_gives_its_results(
    advtrain, tiny: Path, monkeypatch, made_runs
) -> None:
    def halves(board, wanted, grid):
        value = Value("0.5", 0.5, "argument '--refine batch_size'")
        return [((value,),)] if len(board.runs) == 2 else []

    monkeypatch.setattr("advtrain.sweep.run_sweep.next_points", halves)
    done = advtrain("sweep", tiny, "batch_size=16,32", "epochs=1", "--refine", "batch_size")
    assert done.code == 0 and "the refinement ends here" in done.err
    assert "expected a whole number" in done.err and "cells.csv" in done.out


def test_fail_fast_stops_at_the_first_failure(advtrain, tiny: Path, made_runs) -> None:
    made_runs.ends = lambda config: "OSError: no" if config.seed == 1 else "finished"
    done = advtrain("sweep", tiny, "--seeds", "0-5", "--jobs", "1", "--fail-fast", "--json")
    assert done.code == 1 and made_runs.trained == ["seed=0", "seed=1"]
    states = [run["state"] for run in json.loads(done.out)["runs"]]
    assert states == ["finished", "failed", *["queued"] * 4]
    assert "stopping: every run is being saved" in done.err


def test_a_run_that_fails_is_a_line_with_its_error_and_its_log(
    advtrain, tiny: Path, made_runs
) -> None:
    ends = {0.05: "RuntimeError: as it was told", 0.1: "died", 0.2: "finished"}
    made_runs.ends = lambda config: ends[config.optimizer.lr]
    arguments = ["sweep", tiny, "lr=0.05,0.1,0.2", "--json"]
    done = advtrain(*arguments)
    assert done.code == 1
    failed, died, fine = table(done)
    assert (failed["state"], failed["error"]) == ("failed", "RuntimeError: as it was told")
    assert (died["state"], died["error"]) == ("interrupted", "killed by SIGKILL")
    assert (fine["state"], fine["error"]) == ("finished", "")
    for row in (failed, died):
        (line,) = [x for x in done.err.splitlines() if f"lr={row['lr']} " in x]
        assert row["error"] in line and f"{row['run_dir']}/log.txt" in line
    assert (
        "    last words" in done.err
        and "last words" in Path(died["run_dir"], "log.txt").read_text()
    )
    again = advtrain(*arguments)
    assert again.code == 1 and again.err.count("failed earlier: ") == 1
    assert "1 finished, 1 to train" in again.err  # what was cut off is tried again
