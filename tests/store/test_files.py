"""A file is written whole or not at all; a table becomes CSV; JSON is read whatever it holds."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import pytest

from advtrain.config.json_file import read_object
from advtrain.errors import RunFailed
from advtrain.store.files import to_csv, write_whole


def test_a_file_that_cannot_be_written_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "table.csv"
    write_whole(file, b"first")

    def full(self: Path, content: bytes) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(RunFailed) as refused:
        patch.setattr(Path, "write_bytes", full)
        write_whole(file, b"second")
    said = "cannot be written: No space left on device; free some space and repeat the command"
    assert str(refused.value) == f"{file}: {said}"
    assert file.read_bytes() == b"first" and [*tmp_path.iterdir()] == [file]


def test_a_stop_while_a_file_is_written_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "replace", stopped)
        write_whole(tmp_path / "table.csv", b"half")
    assert [*tmp_path.iterdir()] == []


def test_several_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    file, contents = tmp_path / "sweeps" / "sweep.csv", [bytes([n]) * 50_000 for n in range(8)]
    writers = [threading.Thread(target=write_whole, args=(file, content)) for content in contents]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert file.read_bytes() in contents and [*file.parent.iterdir()] == [file]


def test_a_folder_in_the_place_of_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "sweep.csv").mkdir()
    with pytest.raises(RunFailed, match="cannot be written: Is a directory"):
        write_whole(tmp_path / "sweep.csv", b"")


def test_cells_of_a_csv_are_spelled_one_way() -> None:
    row = [True, False, None, 0.1, 1e-300, 3, 'a "b", c', "two\nlines", Path("runs/a")]
    assert to_csv(["name"] * 9, [row]).decode().splitlines()[1:] == [
        'true,false,,0.1,1e-300,3,"a ""b"", c","two', 'lines",runs/a']  # fmt: skip


@pytest.mark.parametrize(
    "content, expected",
    [
        (b'{"a": [1]}', {"a": [1]}),
        ('{"a": "\N{HORIZONTAL ELLIPSIS}"}'.encode(), {"a": "\N{HORIZONTAL ELLIPSIS}"}),
        (b"{}", {}),
        (None, {}),
        (b"", None),
        (b"[1]", None),
        (b"null", None),
        (b'{"a": ', None),
        (b"\xff\xfe", None),
        (b'{"a":' * 100_000, None),
    ],
)
def test_damaged_json_is_told_from_none(
    tmp_path: Path, content: bytes | None, expected: dict[str, object] | None
) -> None:
    file = tmp_path / "status.json"
    if content is not None:
        file.write_bytes(content)
    assert read_object(file) == expected


def test_a_folder_in_the_place_of_json_is_damage(tmp_path: Path) -> None:
    assert read_object(tmp_path) is None
