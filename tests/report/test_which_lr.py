"""One sentence tells which lr converges at which eps, and each failing cell tells why."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from advtrain.report.figures.verdict_map import verdict_map, verdict_map_alt
from advtrain.report.input.cells import Cell, Map, MapAxis
from advtrain.report.input.gather import gather
from advtrain.report.numbers.content import content, report_on
from advtrain.report.numbers.outcome import reasons
from advtrain.report.numbers.which import answer
from tests.helpers.drawn import cell, entry, texts
from tests.helpers.synthetic import learning, write_grid, write_run

# y: converges, n: does not, d: seeds disagree, ?: undecided, w: waits, f: failed, space: no cell
_SEEDS = {
    "y": ((True, "finished"),),
    "n": ((False, "finished"),),
    "d": ((True, "finished"), (False, "finished")),
    "?": ((None, "finished"),),
    "w": ((None, "queued"),),
    "f": ((None, "failed"),),
}


def made_map(
    columns: tuple[str, ...], *rows: tuple[str, str], name: str = "lr", accuracies: str = ""
) -> Map:
    """A map of eps by lr, a letter a cell; `accuracies` are digits, tenths by column."""
    tenths = [int(digit) / 10 for digit in accuracies] or [0.5] * len(columns)
    grid = tuple(
        tuple(
            None if kind == " " else cell({"eps": eps, name: column}, *(
                entry(seed, verdict, state, tenth)
                for seed, (verdict, state) in enumerate(_SEEDS[kind])))
            for column, kind, tenth in zip(columns, kinds, tenths, strict=True))
        for eps, kinds in rows
    )  # fmt: skip
    down = MapAxis(("eps",), tuple(eps for eps, _ in rows))
    return Map(0, "", down, MapAxis((name,), columns), grid)


LR = ("0.005", "0.05", "0.5")


@pytest.mark.parametrize(
    "rows, accuracies, expected",
    [
        (
            [("0.1", "yyn"), ("0.2", "yyn"), ("0.3", "nnn")],
            "561",
            "At eps 0.1 and 0.2, lr 0.005 and 0.05 converge (best on validation: 0.05); "
            "at eps 0.3, no lr converges.",
        ),
        ([("0.1", "nyn")], "", "At eps 0.1, lr 0.05 converges."),
        (
            [("0.1", "yyy")],
            "765",
            "At eps 0.1, every lr converges (best on validation: 0.005).",
        ),
        (
            [("0.1", "ydn"), ("0.2", "ndd"), ("0.3", "ndn")],
            "",
            "At eps 0.1, lr 0.005 converges, lr 0.05 with some seeds only; "
            "at eps 0.2, lr 0.05 and 0.5 converge with some seeds only; "
            "at eps 0.3, lr 0.05 converges with some seeds only.",
        ),
        (
            [("0.1", "n?n"), ("0.2", "nwn"), ("0.3", "fff"), ("0.4", "nnn")],
            "",
            "At eps 0.1, 0.2 and 0.3, no lr is known to converge; at eps 0.4, no lr converges.",
        ),
        ([("0.1", "y n"), ("0.2", "  n")], "", "At eps 0.1, lr 0.005 converges; "
         "at eps 0.2, no lr converges."),
    ],
)  # fmt: skip
def test_the_answer_tells_each_row_once(
    rows: list[tuple[str, str]], accuracies: str, expected: str
) -> None:
    assert answer(made_map(LR, *rows, accuracies=accuracies)) == expected


def test_many_values_are_a_range_where_they_stand_side_by_side() -> None:
    columns = tuple(f"0.{n}" for n in range(1, 8))
    assert "lr 0.1 to 0.5 converge" in answer(made_map(columns, ("1", "yyyyynn")))
    assert "lr 0.1, 0.2, 0.3 and 3 more converge" in answer(made_map(columns, ("1", "yyyynyy")))
    names = tuple("abcdefg")
    said = answer(made_map(names, ("1", "yyyyynn"), name="optimizer"))
    assert "optimizer a, b, c and 2 more converge" in said


def test_rows_that_are_all_different_end_in_a_count() -> None:
    columns = tuple(f"0.{n}" for n in range(1, 10))
    rows = [(f"{n}", "".join("y" if i == n else "n" for i in range(9))) for n in range(9)]
    said = answer(made_map(columns, *rows))
    assert said.endswith("; the map shows 3 more values of eps.") and said.count(";") == 6


def test_values_are_told_in_four_digits_where_these_tell_them_apart() -> None:
    one = made_map(("0.0031622776601683794", "0.01"), ("0.03137254901960784", "yn"))
    assert answer(one) == "At eps 0.03137, lr 0.003162 converges."
    near = made_map(("0.100001", "0.100002"), ("1", "yn"))
    assert answer(near) == "At eps 1, lr 0.100001 converges."


def test_one_axis_alone_needs_no_place(tmp_path: Path) -> None:
    found = content(report_on(gather([write_grid(tmp_path)]), None), tmp_path)
    (one,) = found["maps"]
    assert one["answer"] == "lr 0.01 and 0.05 converge (best on validation: 0.05)."


def test_the_test_set_chooses_no_lr(tmp_path: Path) -> None:
    for lr, on_test, on_validation in (("0.01", 0.9, 0.5), ("0.1", 0.5, 0.6)):
        curves = learning(40, on_validation)
        curves["test_robust_acc"] += on_test - on_validation
        write_run(tmp_path, curves, f"lr={lr}")
    (one,) = content(report_on(gather([tmp_path]), None), tmp_path)["maps"]
    assert "best on validation: 0.1" in one["answer"]


def failing(*causes: str) -> Cell:
    seeds = [entry(seed, False, cause=cause) for seed, cause in enumerate(causes)]
    return cell({"eps": "0.1", "lr": "1"}, *seeds)


def test_a_failing_cell_tells_its_reasons() -> None:
    mixed = failing(*["stuck"] * 12, "broken")
    assert reasons(mixed) == {"stuck": 12, "broken": 1}
    one = Map(0, "", None, MapAxis(("lr",), ("1",)), ((mixed,),))
    assert {"12 stuck", "1 broken"} <= set(texts(verdict_map(one)))
    assert "0/13 (12 stuck, 1 broken)" in verdict_map_alt(one)


def test_a_cell_of_many_reasons_names_the_most_frequent() -> None:
    three = failing("stuck", "stuck", "stuck", "broken", "nonfinite")
    one = Map(0, "", None, MapAxis(("lr",), ("1",)), ((three,),))
    said = set(texts(verdict_map(one)))
    assert {"3 stuck", "2 otherwise"} <= said and "1 broken" not in said
    alone = Map(0, "", None, MapAxis(("lr",), ("1",)), ((failing("nonfinite"),),))
    assert "not finite" in texts(verdict_map(alone))


def test_headline_table_and_print_tell_the_reasons(tmp_path: Path) -> None:
    write_grid(tmp_path / "runs")
    curves = {name: curve[:9] for name, curve in learning(9).items()}
    curves["train_robust_loss"][-1] = np.nan
    write_run(tmp_path / "runs", curves, "lr=0.5", "seed=2", "epochs=40",
              stopped="nonfinite", bad_epoch=9)  # fmt: skip
    found = content(report_on(gather([tmp_path / "runs"]), None), tmp_path)
    stuck = found["cells"][2]
    assert stuck["reasons"] == {"stuck": 2, "not finite": 1}
    assert stuck["headline"] == "0 of 3 seeds converge (2 stuck, 1 not finite)"
    assert found["answer"]["reasons"]["not_converged"] == {"stuck": 2, "not finite": 1}
    assert found["cells"][0]["reasons"] == {} == found["answer"]["reasons"]["converged"]
