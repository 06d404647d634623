"""What a CSV of epochs is read as, whoever wrote it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advtrain.errors import AdvtrainError
from advtrain.store.epoch_csv import Curves, read_curves

EPOCHS = {
    "epoch": [1, 2, 3, 4],
    "lr": [0.1, 0.1, 0.01, 0.01],
    "train_robust_loss": [2.0, 1.5, 1.0, 0.9],
    "train_robust_acc": [0.25, 0.5, 0.6, 0.75],
    "test_robust_acc": [0.25, 0.375, 0.5, 0.45],
}


@pytest.fixture
def read(tmp_path: Path):
    """The curves of a CSV with this text."""

    def of(text: str | bytes, classes: int | None = None, **renamed: str) -> Curves:
        path = tmp_path / "log.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_curves(path, renamed, classes)

    return of


def plain(curves: Curves) -> dict[str, list[float]]:
    """All columns as lists, None where not measured."""
    columns = {"epoch": curves.epoch, **curves.columns}
    return {
        name: [None if np.isnan(v) else round(float(v), 12) for v in values]
        for name, values in columns.items()
    }


def test_columns_are_read_by_name_whatever_their_case_and_separators(read) -> None:
    curves = read("Epoch,Train Robust-Loss,gpu,test/robust_acc\n1,2.5,a100,.25\n2,2,a100,\n")
    assert plain(curves) == {
        "epoch": [1, 2], "train_robust_loss": [2.5, 2], "test_robust_acc": [0.25, None],
    }  # fmt: skip
    assert curves.notes == () and curves.bad_epoch is None
    named = read("epoch,loss  total\n1,2.5\n", train_robust_loss="loss  total")
    assert plain(named) == {"epoch": [1], "train_robust_loss": [2.5]}


def test_without_a_column_epoch_rows_are_epochs(read) -> None:
    curves = read("train_robust_loss,test_robust_acc\n2,.1\n,.2\n1,.3\n")
    assert curves.epoch.tolist() == [1, 2, 3]
    assert curves.notes == ("no column epoch: the rows are taken for epochs, in order",)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_how_a_table_is_written_changes_nothing(tmp_path_factory, data) -> None:
    """Percent, shifted epochs, repeated, split and shuffled rows, shuffled and extra columns."""
    folder = tmp_path_factory.mktemp("written")
    unit = data.draw(st.sampled_from(["fraction", "percent", "signs"]), "unit")
    separator = data.draw(st.sampled_from(",;\t"), "separator")
    shift = data.draw(st.integers(-1, 30), "shift")
    written = dict(EPOCHS) | {"epoch": [e + shift for e in EPOCHS["epoch"]], "gpu": ["a"] * 4}
    for name in [n for n in written if n.endswith("_acc") and unit != "fraction"]:
        sign = "%" if unit == "signs" else ""
        written[name] = [f"{100 * v:.10g}{sign}" for v in written[name]]
    rows = [[str(written[name][i]) for name in written] for i in range(4)]
    if separator != "," and data.draw(st.booleans(), "decimal commas"):
        rows = [[cell.replace(".", ",") for cell in row] for row in rows]
    if data.draw(st.booleans(), "training and validation apart"):
        rows = [
            [c if name in ("epoch", "gpu") or name.startswith("test") is test else ""
             for name, c in zip(written, row, strict=True)]
            for row in rows for test in (True, False)
        ]  # fmt: skip
    if data.draw(st.booleans(), "shuffled"):
        rows = data.draw(st.permutations(rows), "rows")
    again = data.draw(st.integers(0, len(rows)), "resumed after")
    rows = [[("9" if c and n.endswith("loss") else c) for n, c in zip(written, row, strict=True)]
            for row in rows[again:]] + rows  # fmt: skip
    order = data.draw(st.permutations(range(len(written))), "columns")
    lines = [[list(written)[at] for at in order], *([row[at] for at in order] for row in rows)]
    path = folder / "log.csv"
    path.write_text("\n".join(separator.join(line) for line in lines))
    curves = read_curves(path)
    assert (curves.epoch - shift).tolist() == [1, 2, 3, 4] and curves.bad_epoch is None
    for name in EPOCHS.keys() - {"epoch"}:
        assert np.allclose(curves.columns[name], EPOCHS[name], rtol=1e-9), name


def test_of_an_epochs_rows_the_last_filled_cell_of_each_column_counts(read) -> None:
    """A resume repeats rows; Lightning writes training and validation in two, and a third of lr."""
    resumed = read("epoch,train_robust_loss\n1,3\n2,99\n2,2\n3,1\n")
    assert plain(resumed) == {"epoch": [1, 2, 3], "train_robust_loss": [3, 2, 1]}
    text = (
        "epoch,lr-SGD,step,test_robust_acc,train_robust_loss\n"
        ",0.1,0,,\n0,,9,.2,\n0,,9,,3\n,0.1,10,,\n1,,19,.3,\n1,,19,,2\n"
    )
    lightning = read(text)
    assert plain(lightning) == {
        "epoch": [0, 1], "train_robust_loss": [3, 2], "test_robust_acc": [0.2, 0.3],
    }  # fmt: skip
    said = "in each column, the last cell of an epoch that is not empty counts"
    assert resumed.notes == (f"repeated rows: 1; {said}",)
    assert lightning.notes == (f"repeated rows: 2; {said}",)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([".9,.4", "1,.5"], [[0.9, 1], [0.4, 0.5]]),
        (["1.0000001,.4", ".9,1.0009"], [[1, 0.9], [0.4, 1]]),  # rounding of a mean of hits
        (["90,40", "100,.5"], [[0.9, 1], [0.4, 0.005]]),
        (["90,.8", "91,1"], [[0.9, 0.91], [0.008, 0.01]]),  # one column never exceeds 1
        (["90,100.00001", ".5,0"], [[0.9, 0.005], [1, 0]]),
        (["48%,.8", "0.5 %,.9"], [[0.48, 0.005], [0.8, 0.9]]),
        (["48%,80", "0.5%,.9"], [[0.48, 0.005], [0.8, 0.009]]),  # not divided twice
        (["48%,.8%", "nan,"], [[0.48, None], [0.008, None]]),
        (["0,0", "0,0"], [[0, 0], [0, 0]]),
    ],
)
def test_accuracies_of_a_file_are_in_one_unit_unless_they_have_signs(read, cells, expected) -> None:
    text = "train_robust_acc,test_robust_acc\n" + "\n".join(cells)
    curves = plain(read(text))
    assert [curves["train_robust_acc"], curves["test_robust_acc"]] == expected


def test_notes_name_the_unit_and_the_columns_it_rests_on_others_for(read) -> None:
    said = "accuracies are taken for percentages"
    assert said in read("epoch,train_robust_acc,test_robust_acc\n1,50,40\n").notes
    low = read("train_robust_acc,test_robust_acc,test_fgsm_acc,epoch\n50,0,.8,1\n").notes
    assert low == (f"{said}, those of test_fgsm_acc too, which never exceed 1",)
    assert read("epoch,train_robust_acc,test_robust_acc\n1,50%,0.4\n").notes == ()


def stuck(accuracy: float | str, loss: float) -> str:
    rows = [f"{n},{loss + 0.01 / n:.4f},{accuracy}" for n in range(1, 10)]
    return "\n".join(["epoch,test_robust_loss,test_robust_acc", *rows])


@pytest.mark.parametrize(
    ("accuracy", "loss", "classes"),
    [(0.98, 4.6, 100), (1.0, 4.6, 100), (0.9, 4.6, None), (0.5, 5.3, 200), (0.1, 6.9, 1000),
     (0.9, 2.3, 10)],
)  # fmt: skip
def test_percentages_all_below_1_are_refused(read, accuracy, loss, classes) -> None:
    with pytest.raises(AdvtrainError, match=r"percentages all below 1; write them with a % sign"):
        read(stuck(accuracy, loss), classes)
    with pytest.raises(AdvtrainError, match="percentages all below 1"):  # not all are measured
        read(stuck(accuracy, loss) + f"\n10,,{accuracy}\n11,{loss},\n", classes)
    beside = stuck(accuracy, loss).replace(f",{accuracy}", f",{accuracy},1.2")
    percent = read(beside.replace("_acc", "_acc,test_clean_acc"), classes)
    assert percent.columns["test_robust_acc"].tolist() == [accuracy / 100] * 9
    signed = read(stuck(f"{accuracy}%", loss), classes)
    assert signed.columns["test_robust_acc"].tolist() == [accuracy / 100] * 9


@pytest.mark.parametrize(
    ("accuracy", "loss", "classes"),
    [(0.55, 0.69, 2), (0.9, 2.2, 10), (0.3, 4.6, 100), (0.9, 4.4, None), (0.1, 2.3, 10)],
)
def test_fractions_beside_losses_that_may_be_theirs_are_read(read, accuracy, loss, classes) -> None:
    curves = read(stuck(accuracy, loss), classes)
    assert curves.columns["test_robust_acc"].tolist() == [accuracy] * 9


def test_accuracies_need_all_of_their_losses_at_guessing_to_be_doubted(read) -> None:
    overfitted = stuck(0.9, 4.6).replace("1,4.6100,", "1,2.5,")
    assert read(overfitted, 100).columns["test_robust_acc"].max() == 0.9
    apart = stuck(0.9, 4.6).replace("test_robust_loss", "train_robust_loss")
    assert read(apart, 100).columns["test_robust_acc"].max() == 0.9
    overflow = stuck(0.9, float("inf"))
    assert read(overflow, 100).columns["test_robust_acc"].max() == 0.9


@pytest.mark.parametrize(
    ("losses", "bad"),
    [
        (["2", "nan", "1"], None),
        (["2", "1", "nan"], 3),
        (["2", "NaN", "-nan", "inf", "Infinity"], 2),
        (["nan", "1", "inf"], 3),
        (["nan", "inf"], 1),
        (["2", "nan", "", ""], 2),  # it is not logged any more
        (["2", "1", "", ""], None),
        (["", "", "nan"], 3),
        (["2", "1e31", "1e308"], 2),
        (["2", "1e29"], None),
        (["2", "1e999"], 2),
    ],
)
def test_a_bad_epoch_is_the_first_of_those_that_end_not_finite(read, losses, bad) -> None:
    rows = [f"{n},{loss}" for n, loss in enumerate(losses, 1)]
    for kind in ("robust", "clean"):
        curves = read("\n".join([f"epoch,train_{kind}_loss", *rows]))
        assert curves.bad_epoch == bad
        numbers = curves.columns[f"train_{kind}_loss"]
        assert np.isfinite(numbers).tolist() == [v in ("2", "1", "1e29") for v in losses]
    assert read("\n".join(["epoch,test_robust_loss", *rows])).bad_epoch is None


def test_columns_that_bear_on_no_verdict_may_hold_anything_unless_named(read) -> None:
    text = "epoch,train_robust_loss,seconds,step,grad_norm,step\n1,2,0:01:23,first,n/a,x\n"
    assert plain(read(text)) == {"epoch": [1], "train_robust_loss": [2]}
    with pytest.raises(AdvtrainError, match=r":2: seconds: expected a number.*; got '0:01:23'"):
        read(text, seconds="seconds")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_separators_quotes_blank_lines_and_byte_order_marks_are_understood(
    read, separator, end
) -> None:
    """The header's own separator counts, not those inside its quotes."""
    lines = [
        "",
        separator * 2,
        separator.join(['"epoch"', '"Loss, train;\tmean, all, of it"', ' "test_robust_acc"']),
        separator.join(["1", ' "2.5"', " 48 % "]),
        "",
        separator.join(["2", "\u20282\x85", '"50%"']),
    ]
    renamed = {"train_robust_loss": "Loss, train;\tmean, all, of it"}
    curves = read("\ufeff" + end.join(lines), **renamed)
    assert plain(curves) == {
        "epoch": [1, 2], "train_robust_loss": [2.5, 2], "test_robust_acc": [0.48, 0.5],
    }  # fmt: skip
    with pytest.raises(AdvtrainError, match=r"log.csv:6: .*; got '2 x'"):
        read(end.join(lines).replace("2\x85", "2\x0bx"), **renamed)


def test_commas_are_decimal_where_none_separate(read) -> None:
    assert read("epoch;test_robust_acc\n1;0,48\n").columns["test_robust_acc"].tolist() == [0.48]
    tabs = read("epoch\tlr\ttrain_robust_loss\n1\t1,5E-02\t2\n")
    assert tabs.columns["lr"].tolist() == [0.015]


def test_nan_written_for_what_was_not_measured_is_no_divergence(tmp_path: Path) -> None:
    losses = [f"{2 - i / 50}" if i % 5 == 0 else "nan" for i in range(48)]
    text = "epoch,train_robust_loss\n" + "".join(f"{i},{x}\n" for i, x in enumerate(losses))
    (tmp_path / "a.csv").write_text(text)
    assert read_curves(tmp_path / "a.csv").bad_epoch is None
    (tmp_path / "b.csv").write_text(text + "".join(f"{48 + i},nan\n" for i in range(5)))
    assert read_curves(tmp_path / "b.csv").bad_epoch == 46
