"""`advtrain diagnose`: runs, folders, and CSVs that anyone's training wrote."""

from __future__ import annotations

import csv
import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from advtrain import load_config, train
from advtrain.errors import AdvtrainError
from advtrain.tasks.diagnose import diagnose_csv, diagnose_run
from tests.helpers.command_line import Done

AXES = {"inner", "train", "held_out", "level"}
RESULT = {"path", "rules", "headline", "converged", "cause", "suggestion", "axes", "notes"}


def epochs(n: int = 60, seed: int = 0) -> dict[str, list[object]]:
    """A training that has converged, as its author would log it."""
    draw = np.random.default_rng(seed)
    fall = np.exp(-np.arange(n) / 4)
    loss = 1.2 + fall + draw.normal(0, 0.003, n)
    acc = 0.48 - 0.3 * fall + draw.normal(0, 0.002, n)
    columns = {
        "epoch": np.arange(1, n + 1),
        "train_robust_loss": loss,
        "train_robust_acc": acc + 0.02,
        "test_robust_loss": loss + 0.2,
        "test_robust_acc": acc,
        "test_clean_loss": loss - 0.4,
        "test_robust_loss_2x": loss + 0.21,
    }
    return {name: values.tolist() for name, values in columns.items()}


def write(path: Path, columns: dict[str, list[object]], separator: str = ",") -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, delimiter=separator)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def judged(path: Path, columns: dict[str, list[object]], **renamed: str) -> tuple:
    """State of each axis, and the answer."""
    verdict = diagnose_csv(write(path, columns), renamed, 10).verdict
    return (*(axis.state for axis in verdict.axes.values()), verdict.converged)


CONVERGED = ("solved", "flat", "settled", "above_chance", True)


def test_a_foreign_csv_is_judged(advtrain, tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", epochs())
    done: Done = advtrain("diagnose", path, "--classes", 10)
    assert done.code == 0 and "converged at this lr" in done.out
    result = json.loads(advtrain("diagnose", path, "--classes", 10, "--json").out)
    assert result["cells"] == []
    (one,) = result["results"]
    assert set(one) == RESULT and set(one["axes"]) == AXES
    assert all(set(axis) == {"state", "rule", "numbers", "epochs"} for axis in one["axes"].values())
    assert one["axes"]["train"]["epochs"] == [21, 60]


def test_columns_are_found_by_name_or_named(advtrain, tmp_path: Path) -> None:
    ours = epochs()
    titles = {name.replace("_", " ").title(): values for name, values in ours.items()}
    assert judged(tmp_path / "titles.csv", titles) == CONVERGED
    theirs = {f"x_{name}" if "loss" in name else name: values for name, values in ours.items()}
    losses = [name for name in ours if "loss" in name]
    assert judged(tmp_path / "x.csv", theirs, **{n: f"x_{n}" for n in losses}) == CONVERGED
    done: Done = advtrain(
        "diagnose", tmp_path / "x.csv", "--classes", 10, "--json",
        *[word for n in losses for word in ("--columns", f"{n}=x_{n}")],
    )  # fmt: skip
    assert json.loads(done.out)["results"][0]["converged"] is True


def test_missing_columns_and_epochs_leave_axes_unmeasured_not_wrong(tmp_path: Path) -> None:
    ours = epochs()
    few = {k: ours[k] for k in ("epoch", "train_robust_loss", "test_robust_acc")}
    few = {k: [v for i, v in enumerate(values) if i != 30] for k, values in few.items()}
    assert judged(tmp_path / "a.csv", few) == ("not_measured", *CONVERGED[1:])
    loss_only = {"train_robust_loss": ours["train_robust_loss"]}
    verdict = diagnose_csv(write(tmp_path / "b.csv", loss_only), {}, 10).verdict
    assert verdict.axes["held_out"].state == verdict.axes["level"].state == "not_measured"
    assert verdict.converged is None and "no column epoch" in verdict.notes[0]


def test_a_nan_to_the_end_is_a_finding_and_one_in_between_a_gap(tmp_path: Path) -> None:
    ours = epochs()
    ours["train_robust_loss"][40] = "nan"
    assert judged(tmp_path / "a.csv", ours) == CONVERGED
    for row in range(50, 60):
        ours["train_robust_loss"][row] = "NaN" if row % 2 else "inf"
    result = diagnose_csv(write(tmp_path / "b.csv", ours), {}, 10)
    assert result.verdict.headline == "no: a loss or weight was not finite in epoch 51"
    first = {name: values[:1] for name, values in ours.items()} | {"train_robust_loss": ["nan"]}
    assert diagnose_csv(write(tmp_path / "c.csv", first), {}, 10).verdict.converged is False


def test_thousands_of_rows_are_judged(tmp_path: Path) -> None:
    assert judged(tmp_path / "a.csv", epochs(5000)) == CONVERGED


def test_foreign_learning_rates_make_segments(tmp_path: Path) -> None:
    ours = epochs()
    ours["train_robust_loss"][40:] = np.linspace(0.9, 0.5, 20).tolist()
    ours["lr"] = [0.1] * 40 + [0.02] * 20
    verdict = diagnose_csv(write(tmp_path / "a.csv", ours), {}, 10).verdict
    assert verdict.axes["train"].state == "descending"
    assert verdict.axes["train"].epochs == (48, 60)
    ours["lr"] = [0.1] * 40 + [0.002] * 20
    assert diagnose_csv(write(tmp_path / "b.csv", ours), {}, 10).verdict.converged is True


def test_what_is_no_table_of_epochs_is_one_clear_line(advtrain, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("epoch,train_robust_loss\n1,2\n2,abc\n")
    done: Done = advtrain("diagnose", "bad.csv")
    assert done.code == 2 and done.out == "" and len(done.err.splitlines()) == 1
    assert done.err.startswith("bad.csv:3: train_robust_loss: expected a number")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.csv"], "missing.csv: no such file or folder"),
        (["log.csv", "--columns", "train_robust_los=epoch"], "did you mean train_robust_loss?"),
        (["log.csv", "--columns", "train_robust_loss=Loss"], "not in log.csv"),
        (["log.csv", "--columns", "train_robust_loss"], "expected NAME=COLUMN"),
        (["log.csv", "--columns", "lr=epoch", "--columns", "lr=epoch"], "lr is given twice"),
        (["empty"], "neither a run nor a folder of runs or CSVs"),
    ],
)
def test_wrong_arguments_are_one_clear_line(advtrain, tmp_path, arguments, said) -> None:
    write(tmp_path / "log.csv", epochs())
    (tmp_path / "empty").mkdir()
    done: Done = advtrain("diagnose", *arguments)
    assert done.code == 2 and said in done.err and len(done.err.splitlines()) == 1


def test_check_ends_with_3_unless_every_one_converged(advtrain, tmp_path: Path) -> None:
    good = write(tmp_path / "good.csv", epochs())
    short = write(tmp_path / "short.csv", {k: v[:6] for k, v in epochs().items()})
    assert advtrain("diagnose", good, "--classes", 10, "--check").code == 0
    assert advtrain("diagnose", good, short, "--classes", 10, "--check").code == 3
    assert advtrain("diagnose", short, "--classes", 10).code == 0


def test_a_folder_of_csvs_is_told_in_brief(advtrain, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for i in range(5):
        write(tmp_path / "logs" / f"{i}.csv", epochs(seed=i))
    done: Done = advtrain("diagnose", "logs", "--classes", 10)
    assert done.out.count("converged at this lr") == 5 and done.out.count("inner") == 0


def test_a_run_ends_with_its_verdict_and_diagnose_says_the_same(advtrain, tiny: Path) -> None:
    done: Done = advtrain("train", tiny, "epochs=10", "--json")
    result = json.loads(done.out)
    run = Path(result["run_dir"])
    stored = json.loads((run / "verdict.json").read_text())
    assert result["verdict"] == stored and set(stored) == RESULT
    again = json.loads(advtrain("diagnose", run, "--json").out)["results"]
    assert again == [stored]
    refused: Done = advtrain("diagnose", run, "--classes", 10)
    assert refused.code == 2 and "a run knows its own" in refused.err
    shown = advtrain("train", tiny, "epochs=10").out
    assert stored["headline"] in shown and "held-out" in shown
    assert f"verdict: {stored['headline']}" in (run / "log.txt").read_text()


def test_the_suggested_command_runs_as_printed(advtrain, tiny: Path) -> None:
    """As typed from where it was printed, whatever it is."""
    keys = ["epochs=9", "schedule=constant", "lr=0.1", "model.args={width: 64}"]
    suggestion = json.loads(advtrain("train", tiny, *keys, "--json").out)["verdict"]["suggestion"]
    words = shlex.split(suggestion["command"])
    assert words[0] == "advtrain" and "--from" in words
    done: Done = advtrain(*words[1:], "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["epochs"] > 9


def test_a_running_run_is_judged_by_what_is_there(advtrain, tiny: Path) -> None:
    run = train(load_config(tiny, ["epochs=10"]), "runs").dir
    status = json.loads((run / "status.json").read_text()) | {"state": "running"}
    (run / "status.json").write_text(json.dumps(status | {"epoch": 4}))
    lines = (run / "metrics.csv").read_text().splitlines(keepends=True)
    (run / "metrics.csv").write_text("".join(lines[:5]))
    verdict = diagnose_run(run).verdict
    assert verdict.axes["train"].state == "too_short" and "still running" in verdict.headline
    (run / "metrics.csv").unlink()
    (run / "status.json").write_text(json.dumps(status | {"epoch": 0}))
    with pytest.raises(AdvtrainError, match="no epochs yet"):
        diagnose_run(run)


def test_newer_rules_say_what_changed(advtrain, tiny: Path) -> None:
    run = train(load_config(tiny, ["epochs=10"]), "runs").dir
    stored = json.loads((run / "verdict.json").read_text())
    state = stored["axes"]["train"]["state"]
    old = stored | {"rules": 0, "axes": stored["axes"] | {"train": {"state": "stuck"}}}
    (run / "verdict.json").write_text(json.dumps(old))
    done: Done = advtrain("diagnose", run)
    assert f"changed by newer rules: train: stuck -> {state}" in done.out
    assert json.loads((run / "verdict.json").read_text()) == old, "nothing is overwritten unasked"


def test_seeds_of_one_cell_are_taken_together(advtrain, tiny: Path) -> None:
    for seed in range(3):
        train(load_config(tiny, [f"seed={seed}", "epochs=9", f"slurm.cpus={seed + 1}"]), "runs")
    train(load_config(tiny, ["epochs=9", "eps=0.05"]), "runs")
    result = json.loads(advtrain("diagnose", "runs", "--json").out)
    assert len(result["results"]) == 4
    (cell,) = result["cells"]
    assert cell["seeds"] == 3 and len(cell["paths"]) == 3
    assert "of 3 seeds converge" in advtrain("diagnose", "runs").out


def test_a_run_that_diverges_gets_its_verdict(advtrain, tiny: Path) -> None:
    result = json.loads(advtrain("train", tiny, "lr=1e30", "--json").out)
    assert result["verdict"]["converged"] is False
    assert result["verdict"]["cause"] == "nonfinite"
    assert "lr=0.05" in result["verdict"]["suggestion"]["overrides"]
