"""What a report says in numbers: cells, maps, bands over seeds, differences, tables."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from advtrain.errors import AdvtrainError
from advtrain.report.figures.pictures import pictures
from advtrain.report.input.cells import cells_of, maps_of
from advtrain.report.input.gather import gather, gather_latest
from advtrain.report.make import together
from advtrain.report.numbers.compare import compare
from advtrain.report.numbers.content import content, report_on
from advtrain.report.numbers.over_seeds import band, best, last, oracle
from advtrain.report.tables import tables
from tests.helpers.synthetic import CONFIG, learning, write_csv, write_grid, write_run, write_sweep


def test_a_folder_falls_into_cells_and_a_map(tmp_path: Path) -> None:
    axes, cells = cells_of(gather([write_grid(tmp_path / "runs")]))
    assert [(axis.name, axis.labels) for axis in axes] == [("lr", ("0.01", "0.05", "0.5"))]
    assert [cell.label for cell in cells] == ["lr 0.01", "lr 0.05", "lr 0.5"]
    assert [[entry.seed for entry in cell.entries] for cell in cells] == [[0, 1]] * 3
    (one,) = maps_of(axes, cells)
    assert one.rows is None and [cell.id for cell in one.cells[0] if cell] == [
        "lr-0.01", "lr-0.05", "lr-0.5"]  # fmt: skip


def test_where_it_was_trained_is_no_axis(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path, learning(9), f"seed={seed}", f"slurm.cpus={seed + 1}")
    axes, (cell,) = cells_of(gather([tmp_path]))
    assert axes == [] and [entry.seed for entry in cell.entries] == [0, 1]


def test_two_axes_make_eps_rows_and_lr_columns_and_a_third_makes_maps(tmp_path: Path) -> None:
    for lr in ("0.5", "0.05"):
        for eps in ("0.2", "8/255"):
            for batch in ("32", "64"):
                write_run(tmp_path, learning(9), f"lr={lr}", f"eps={eps}", f"batch_size={batch}")
    axes, cells = cells_of(gather([tmp_path]))
    found = maps_of(axes, cells)
    assert [one.heading for one in found] == ["batch_size 32", "batch_size 64"]
    assert found[0].rows and found[0].rows.name == "eps" and found[0].columns.name == "lr"
    assert found[0].columns.labels == ("0.05", "0.5"), "numbers by size"
    assert float(found[0].rows.labels[0]) == pytest.approx(8 / 255)
    assert all(cell for one in found for row in one.cells for cell in row)


def test_keys_that_move_together_are_one_axis(tmp_path: Path) -> None:
    for optimizer in ("{name: adam, lr: 0.001}", "{name: sgd, lr: 0.05}"):
        write_run(tmp_path / "b", learning(9), f"optimizer={optimizer}", name=optimizer[7:10])
    axes, _ = cells_of(gather([tmp_path / "b"]))
    assert len(axes) == 1 and axes[0].name == "optimizer" and axes[0].labels == ("adam", "sgd")
    both = write_run(tmp_path / "c", learning(9), "eps=0.1", "steps=2").parent
    write_run(both, learning(9), "eps=0.2", "steps=1")
    (axis,), cells = cells_of(gather([both]))
    assert axis.keys == ("eps", "steps") and [c.label for c in cells] == ["eps 0.1", "eps 0.2"]


def test_bands_are_those_of_pandas(tmp_path: Path) -> None:
    for seeds in (2, 6):
        folder, frames = tmp_path / str(seeds), []
        for seed in range(seeds):
            curves = learning(12, 0.6, seed)
            curves["test_robust_acc"][3] = np.nan if seed == 1 else 0.3
            curves["test_robust_acc"][9:] = np.nan if seed == 0 else 0.6 + seed / 100
            frames.append(pd.read_csv(write_run(folder, curves, f"seed={seed}") / "metrics.csv"))
        entries = gather([folder])[0].entries
        grouped = pd.concat(frames).groupby("epoch")["test_robust_acc"]
        found = band(entries, "test_robust_acc")
        assert found is not None and found.kind == ("min-max" if seeds == 2 else "sd")
        assert found.epoch.tolist() == list(range(1, 13))
        np.testing.assert_allclose(found.mean, grouped.mean())
        np.testing.assert_array_equal(found.count, grouped.count())
        if seeds == 2:
            low, high = grouped.min(), grouped.max()
        else:
            low, high = grouped.mean() - grouped.std(), grouped.mean() + grouped.std()
        np.testing.assert_allclose(found.low, low)
        np.testing.assert_allclose(found.high, high)


def test_last_best_and_oracle_are_told_apart(tmp_path: Path) -> None:
    curves = learning(9)
    curves["val_robust_acc"] = np.array([0.1, 0.2, 0.3, 0.9, 0.3, 0.3, 0.3, 0.3, 0.3])
    curves["test_robust_acc"] = np.array([0.1, 0.2, 0.3, 0.4, 0.3, 0.8, 0.3, 0.3, 0.25])
    run = write_run(tmp_path, curves)
    file = write_csv(tmp_path / "theirs.csv", {k: v for k, v in curves.items() if "fosc" not in k})
    for path in (run, file):
        (entry,) = gather([path])[0].entries
        assert last(entry, "test_robust_acc") == 0.25
        assert best(entry, "test_robust_acc") == 0.4, "validation chose epoch 4"
        assert oracle(entry, "test_robust_acc") == (6, 0.8)
    assert "grad_norm" in entry.columns, "shown, though no verdict rests on it"


def test_a_sweep_is_found_after_it_was_moved_and_knows_what_waits(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "made")
    found = content(report_on(gather([sweep]), None), tmp_path)
    assert [cell["label"] for cell in found["cells"]] == ["lr 0.01", "lr 0.05", "lr 0.5"]
    middle = found["cells"][1]
    assert [run["outcome"] for run in middle["runs"]] == ["converged", "converged", "unfinished"]
    assert middle["outcome"] == "converged" and middle["unfinished"] == 1
    assert found["cells"][2]["outcome"] == "not_converged"
    assert found["answer"]["runs"] == {
        "converged": 4, "not_converged": 2, "undecided": 0, "failed": 0, "unfinished": 1,
        "runs": 7, "judged": 6}  # fmt: skip
    assert found["answer"]["sentence"] == (
        "4 of 7 runs converge; 2 of 3 cells with every finished seed; 1 not finished"
    )
    json.dumps(found, allow_nan=False)
    assert set(found) == {  # docs/json.md
        "version", "title", "sides", "answer", "axes", "maps", "bands", "common_eps", "cells",
        "comparison", "reference", "differences", "notes", "page"}  # fmt: skip
    assert set(middle) == {
        "id", "label", "side", "at", "outcome", "judged", "converged", "not_converged",
        "undecided", "failed", "unfinished", "share_low", "share_high", "headline", "chance",
        "entropy", "config", "last", "best", "oracle", "at_eps", "bands", "evaluations",
        "runs"}  # fmt: skip
    assert set(middle["runs"][0]) == {
        "path", "seed", "state", "outcome", "error", "epochs", "best_epoch", "oracle_epoch",
        "segments", "verdict", "epoch", "curves", "evaluations", "seconds", "sessions",
        "dataset_checksum", "parent"}  # fmt: skip


def latest(runs_dir: Path) -> str:
    (side,) = gather_latest(runs_dir)
    return side.name


def test_the_latest_is_what_was_written_to_last(tmp_path: Path) -> None:
    with pytest.raises(AdvtrainError, match="no runs here yet"):
        gather_latest(tmp_path)
    sweep = write_sweep(tmp_path / "made")
    assert latest(tmp_path) == str(sweep)
    lone = write_run(tmp_path / "other", learning(9))
    later = (sweep / "sweep.csv").stat().st_mtime + 10
    os.utime(lone / "status.json", (later, later))
    assert latest(tmp_path) == str(lone)
    one = next((tmp_path / "made").glob("lr*"))
    os.utime(one / "status.json", (later + 10, later + 10))
    assert latest(tmp_path) == str(sweep), "a sweep's run stands for its sweep"


def differences(a: list[float], b: list[float], tmp_path: Path, seeds_b: list[int]) -> list[object]:
    for folder, levels, seeds in (("a", a, range(9)), ("b", b, seeds_b)):
        for seed, level in zip(seeds, levels, strict=False):
            curves = learning(9, seed=seed)
            curves["test_robust_acc"][-1] = level
            eps = "0.1" if folder == "a" else "0.2"
            write_run(tmp_path / folder, curves, f"seed={seed}", f"eps={eps}")
    _, cells = cells_of(gather([tmp_path / "a", tmp_path / "b"]))
    found = compare(cells)
    assert found.recipe == {"attack.eps": ["0.1", "0.2"]}
    return [one for one in found.differences if one.what == "last"]


def test_equal_seeds_are_paired(tmp_path: Path) -> None:
    a, b = [0.5, 0.6, 0.7], [0.52, 0.63, 0.71]
    (one,) = differences(a, b, tmp_path, [0, 1, 2])
    oracle = stats.ttest_rel(b, a).confidence_interval(0.95)
    assert one.paired and one.difference == pytest.approx(0.02)
    assert (one.low, one.high) == pytest.approx((oracle.low, oracle.high))


def test_other_seeds_are_compared_by_welch(tmp_path: Path) -> None:
    a, b = [0.5, 0.6, 0.7], [0.52, 0.63]
    (one,) = differences(a, b, tmp_path, [5, 6])
    oracle = stats.ttest_ind(b, a, equal_var=False).confidence_interval(0.95)
    assert not one.paired and (one.seeds_a, one.seeds_b) == (3, 2)
    assert (one.low, one.high) == pytest.approx((oracle.low, oracle.high))


def test_one_seed_has_a_difference_but_no_interval(tmp_path: Path) -> None:
    (one,) = differences([0.5], [0.6], tmp_path, [0])
    assert one.difference == pytest.approx(0.1) and one.low is None and one.high is None


def test_two_sweeps_are_compared_cell_by_cell(tmp_path: Path) -> None:
    write_grid(tmp_path / "a")
    write_grid(tmp_path / "b", text=CONFIG + "objective: mixed\n")
    write_run(tmp_path / "b", learning(40), "lr=2", text=CONFIG + "objective: mixed\n")
    report = report_on(gather([tmp_path / "a", tmp_path / "b"]), None)
    found = report.comparison
    assert found is not None and [pair[0].label for pair in found.pairs] == [
        "lr 0.01", "lr 0.05", "lr 0.5"]  # fmt: skip
    assert found.only_a == () and len(found.only_b) == 1
    assert found.recipe["objective.name"] == ["pgd", "mixed"]
    assert "optimizer.lr" not in found.recipe


def test_runs_given_one_by_one_are_seeds_or_two_recipes(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, learning(9), f"seed={seed}", f"lr={lr}")
            for seed in (0, 1) for lr in ("0.1", "0.2")]  # fmt: skip
    assert len(together(gather([runs[0], runs[2]]))) == 1, "seeds of one recipe"
    assert [len(side.entries) for side in together(gather(runs))] == [2, 2]
    third = write_run(tmp_path, learning(9), "lr=0.3")
    assert len(together(gather([*runs, third]))) == 1
    assert len(together(gather([tmp_path, runs[0]]))) == 2


def test_tables_say_what_the_report_says(tmp_path: Path) -> None:
    found = content(report_on(gather([write_sweep(tmp_path / "made")]), None), tmp_path)
    files = tables(found)
    assert set(files) == {"cells.csv", "cells.tex", "runs.csv", "runs.tex", "curves.csv"}
    cells = pd.read_csv(io.BytesIO(files["cells.csv"]))
    assert cells["lr"].tolist() == [0.01, 0.05, 0.5] and cells["seeds"].tolist() == [2, 3, 2]
    runs = [pd.read_csv(run / "metrics.csv") for run in sorted((tmp_path / "made").glob("lr0.01*"))]
    finals = [run["test_robust_acc"].iloc[-1] for run in runs]
    assert cells["last_robust_acc"][0] == pytest.approx(np.mean(finals), abs=1e-12)
    assert cells["last_robust_sd"][0] == pytest.approx(np.std(finals, ddof=1), abs=1e-12)
    tex = files["cells.tex"].decode()
    assert f"{100 * np.mean(finals):.1f}" in tex and "\\toprule" in tex and "robust\\_acc" in tex
    curves = pd.read_csv(io.BytesIO(files["curves.csv"]))
    one = curves[(curves["cell"] == "lr 0.01") & (curves["column"] == "test_robust_acc")]
    np.testing.assert_allclose(one["mean"], np.mean([r["test_robust_acc"] for r in runs], 0))


def test_a_common_eps_is_one_that_every_cell_was_measured_at(tmp_path: Path) -> None:
    for lr, points in (("0.1", (0.1, 0.2)), ("0.2", (0.2, 0.3))):
        run = write_run(tmp_path, learning(9), f"lr={lr}")
        rows = "".join(f"{eps},1.5,{0.5 + eps},40\n" for eps in points)
        (run / "curve_eps.csv").write_text("eps,robust_loss,robust_acc,images\n" + rows)
    found = content(report_on(gather([tmp_path]), None), tmp_path)
    assert found["common_eps"] == [0.2]
    assert [cell["at_eps"]["0.2"]["mean"] for cell in found["cells"]] == [0.7, 0.7]


def test_only_finished_runs_are_averaged_and_a_nonfinite_end_is_no_accuracy(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path / "a", learning(40, seed=seed), f"seed={seed}")
    write_run(tmp_path / "a", learning(40), "seed=2", state="running", heartbeat=4e9)
    cell = content(report_on(gather([tmp_path / "a"]), None), tmp_path)["cells"][0]
    one = cell["last"]["test_robust_acc"]
    assert one["seeds"] == 2 and one["values"][2] is None and one["values"][0] is not None
    running = write_run(tmp_path / "b", learning(9), state="running", heartbeat=4e9)
    (cell,) = content(report_on(gather([running]), None), tmp_path)["cells"]
    assert cell["last"]["test_robust_acc"]["seeds"] == 1, "all there is"
    ended = write_run(tmp_path / "c", learning(9), stopped="nonfinite", bad_epoch=10)
    (cell,) = content(report_on(gather([ended]), None), tmp_path)["cells"]
    assert cell["last"]["test_robust_acc"]["mean"] is None


def test_a_copy_of_a_run_is_no_seed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", learning(9))
    shutil.copytree(run, tmp_path / "a" / "copy")
    found = content(report_on(gather([tmp_path / "a"]), None), tmp_path)
    assert [len(cell["runs"]) for cell in found["cells"]] == [1]
    assert "copies of other runs, left out" in found["notes"][0]


def test_what_cannot_be_read_has_failed_and_lists_are_no_lengths_in_latex(tmp_path: Path) -> None:
    for milestones in ("[0.5]", "[0.25,0.5]"):
        write_run(tmp_path, learning(9), "schedule=piecewise", f"milestones={milestones}",
                  name=str(len(milestones)))  # fmt: skip
    found = content(report_on(gather([tmp_path]), None), tmp_path)
    tex = tables(found)["cells.tex"].decode()
    assert "\n{[}0.5]" in tex and "\n[" not in tex
    (tmp_path / "5" / "metrics.csv").write_text("nonsense")
    found = content(report_on(gather([tmp_path]), None), tmp_path)
    assert found["answer"]["runs"]["failed"] == 1


def test_a_csv_has_neither_a_config_to_differ_in_nor_examples(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", learning(9))
    file = write_csv(tmp_path / "theirs.csv", learning(9))
    report = report_on(gather([run, file]), None)
    assert report.comparison is not None and report.comparison.recipe == {}
    assert pictures(report)[1] == []
    runs = pd.read_csv(io.BytesIO(tables(content(report, tmp_path))["runs.csv"]), dtype=str)
    assert runs["seed"][0] == "0"


def test_a_run_without_a_measurement_leaves_the_common_eps_to_the_others(tmp_path: Path) -> None:
    for lr in ("0.1", "0.2"):
        run = write_run(tmp_path, learning(9), f"lr={lr}")
        if lr == "0.1":
            (run / "curve_eps.csv").write_text("eps,robust_loss,robust_acc,images\n0.1,1,0.5,40\n")
    found = content(report_on(gather([tmp_path]), None), tmp_path)
    assert found["common_eps"] == [0.1]
    assert [cell["at_eps"]["0.1"]["mean"] for cell in found["cells"]] == [0.5, None]
