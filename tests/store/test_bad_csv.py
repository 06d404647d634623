"""What is no CSV of epochs: one clear line, with where and what to do."""

from __future__ import annotations

import errno
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advtrain.errors import AdvtrainError
from advtrain.records import COLUMNS
from advtrain.store import csv_cells
from advtrain.store.epoch_csv import read_curves

BAD = [
    ("", "no epochs in it yet"),
    ("\n\n ,\n", "no epochs in it yet"),
    ("epoch,train_robust_loss\n", "no epochs in it yet"),
    ("epoch,train_robust_loss,gpu\n,,a100\n", "no epochs in it yet"),
    ("epoch,train_robust_loss\n1,abc\n", ":2: train_robust_loss: expected a number"),
    ("epoch,train_robust_loss\n\n1,1\n2,1_0\n", ":4: train_robust_loss: expected a number"),
    ("epoch,train_robust_loss\n1,23%\n", ":2: train_robust_loss: expected a number"),
    ('epoch,test_robust_acc\n1,"0,48"\n', ":2: test_robust_acc: expected a number"),
    ("epoch;test_robust_acc\n1;1,234.5\n", ":2: test_robust_acc: expected a number"),
    ("epoch,train_robust_loss\n1,1.0,3\n", ":2: 3 cells where the header has 2"),
    ("epoch,foo\n1,2\n", "no column of a loss or an accuracy among epoch, foo; name them"),
    ("epoch,train_robust_loss\n1,2\n1.5,2\n", ":3: epoch: expected a whole number"),
    ("epoch,train_robust_loss\n,2\n", ":2: epoch: expected a whole number in every row; got ''"),
    ("epoch,train_robust_loss\n1e300,2\n", ":2: epoch: expected a whole number"),
    ("epoch,train_robust_loss\ninf,2\n", ":2: epoch: expected a whole number"),
    ("epoch,train_robust_loss\n1,-2\n", ":2: train_robust_loss: a cross-entropy is not negative"),
    ("epoch,test_robust_loss_2x\n1,-2\n", ":2: test_robust_loss_2x: a cross-entropy is not"),
    ("epoch,lr,train_robust_loss\n1,-.1,2\n", ":2: lr: expected a finite number from 0 up"),
    ("epoch,eps,train_robust_loss\n1,inf,2\n", ":2: eps: expected a finite number from 0 up"),
    ("epoch,test_robust_acc\n1,150\n", "expected an accuracy in [0, 1], or a percentage"),
    ("epoch,test_robust_acc\n1,101%\n", ":2: test_robust_acc: expected an accuracy in [0, 1]"),
    ("epoch,test_robust_acc\n1,50\n2,-0.2\n", ":3: test_robust_acc: expected an accuracy"),
    ("epoch,test_robust_acc\n1,inf\n", ":2: test_robust_acc: expected an accuracy in [0, 1]"),
    ("epoch,test_robust_acc\n1,48%\n\n2,50\n", ":4: test_robust_acc: write all of this column's"),
    ("epoch,Test Robust Acc,test_robust_acc\n1,.2,.3\n", "several columns test_robust_acc"),
    ('epoch,train_robust_loss\n1,"2\n', "cannot be read as CSV: unexpected end of data"),
    ("epoch,train_robust_loss\n1,2" + "0" * 200_000, "cannot be read as CSV: field larger"),
    (b"epoch,train_robust_loss,Genauigkeit \xe9\n1,2,3\n", ":1: not UTF-8 text: save it as UTF-8"),
    (b"epoch,train_robust_loss\n1,2\n2,\xff\n", ":3: not UTF-8 text: save it as UTF-8"),
    ("epoch,train_robust_loss\n1,2\n".encode("utf-16"), "UTF-16 text: save it as UTF-8"),
    ("epoch,train_robust_loss\n1,2\n2,\0\n", ":3: a NUL byte: not a text file"),
    (b"\0\xff binary", ":1: a NUL byte: not a text file"),
]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_what_is_no_table_of_epochs_is_one_clear_line(tmp_path: Path, text, said) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(AdvtrainError) as error:
        read_curves(path)
    assert said in str(error.value) and len(str(error.value).splitlines()) == 1


def test_a_column_nobody_recognises_is_answered_with_ours(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("epoch,loss\n1,2\n")
    with pytest.raises(AdvtrainError) as error:
        read_curves(path)
    assert "(ours: train_clean_loss, train_clean_acc, train_robust_loss," in str(error.value)
    assert "test_robust_loss_2x, ...)" in str(error.value) and "probe" not in str(error.value)


def forbidden(*_: object) -> None:
    """What root, who may run these tests, never meets."""
    raise PermissionError(errno.EACCES, "Permission denied")


def test_files_that_cannot_be_opened_are_refused(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "nowhere.csv")
    for path in (tmp_path / "missing.csv", tmp_path / "link.csv"):
        with pytest.raises(AdvtrainError, match=r"\.csv: no such file or folder$"):
            read_curves(path)
    with pytest.raises(AdvtrainError, match=r": cannot be read: Is a directory$"):
        read_curves(tmp_path)
    with pytest.raises(AdvtrainError, match=r": cannot be read: File name too long$"):
        read_curves(tmp_path / ("x" * 300) / "log.csv")
    big = tmp_path / "big.csv"
    big.write_text("epoch,train_robust_loss\n" + 20 * "1,2\n")
    monkeypatch.setattr(csv_cells, "_LARGEST", 50)
    with pytest.raises(AdvtrainError, match="more than 50 bytes: not a CSV of epochs"):
        read_curves(big)
    monkeypatch.setattr(Path, "open", forbidden)
    with pytest.raises(AdvtrainError, match=r": cannot be read: Permission denied$"):
        read_curves(big)


NASTY = st.one_of(
    st.floats().map(str), st.integers(-3, 120).map(str), st.text(max_size=4),
    st.sampled_from(["", "%", "48%", "1e308", "nan", "1,5", '"', "1_0", "\r", "\u2028"]),
)  # fmt: skip


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_whatever_is_in_a_file_it_is_read_or_refused(tmp_path_factory, data) -> None:
    path = tmp_path_factory.getbasetemp() / "anything.csv"
    if data.draw(st.booleans(), "bytes"):
        path.write_bytes(data.draw(st.binary(max_size=60)))
    else:
        names = data.draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=4), "names")
        row = st.lists(NASTY, min_size=len(names), max_size=len(names))
        lines = [names, *data.draw(st.lists(row, max_size=5), "rows")]
        separator = data.draw(st.sampled_from(",;\t"), "separator")
        path.write_text("\n".join(map(separator.join, lines)), newline="")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            curves = read_curves(path, classes=data.draw(st.sampled_from([None, 2, 100])))
        except AdvtrainError as error:
            assert len(str(error).splitlines()) == 1 and len(str(error)) < 1500
            return
    assert (np.diff(curves.epoch) > 0).all() and len(curves.epoch) > 0
    for name, values in curves.columns.items():
        known = values[~np.isnan(values)]
        assert len(values) == len(curves.epoch) and np.isfinite(known).all()
        assert (known >= 0).all() or not name.endswith(("loss", "loss_2x", "acc", "lr", "eps"))
        assert (known <= 1).all() or not name.endswith("acc")
