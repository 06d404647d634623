"""A run judges itself by what it has in memory, and writes each file once an epoch."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from advtrain import load_config, train
from advtrain.store import epoch_csv, reader
from advtrain.store.writer import RunDirectory
from advtrain.tasks.diagnose import diagnose_run

STUCK = ["epochs=14", "lr=10", "momentum=0", "schedule=constant", "stop_on=[stuck]"]


def test_a_run_that_may_end_itself_writes_its_rows_once_an_epoch(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = Counter[str]()
    write = RunDirectory.write

    def counted(directory: RunDirectory, name: str, content: bytes) -> None:
        written[name] += 1
        write(directory, name, content)

    monkeypatch.setattr(RunDirectory, "write", counted)
    run = train(load_config(tiny, STUCK), tmp_path / "runs", device="cpu")
    assert run.status.stopped == "stuck" and 8 <= run.status.epoch < 14
    assert written["metrics.csv"] == written["last.pt"] == run.status.epoch


@pytest.mark.parametrize("keys", [STUCK, ["epochs=4"], ["lr=1e30"]], ids=["stuck", "new", "nan"])
def test_a_run_judges_itself_by_no_file_and_as_diagnose_does_by_its_files(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: list[str]
) -> None:
    def refused(*_: Any) -> None:
        raise AssertionError("a run reads its own files")

    with monkeypatch.context() as patch:
        patch.setattr(epoch_csv, "read_cells", refused)
        patch.setattr(reader, "read_object", refused)
        run = train(load_config(tiny, keys), tmp_path / "runs", device="cpu")
    assert run.verdict == diagnose_run(run.dir).to_json()
