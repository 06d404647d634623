"""Every row is measured on the same images; final.csv has the last weights on all of them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from advtrain import load_config, train
from advtrain.records import TIMES
from advtrain.report.input.gather import gather
from advtrain.report.numbers.over_seeds import final, last
from advtrain.store.final_csv import read_final
from advtrain.store.provenance import SAME_IMAGES
from advtrain.tasks.diagnose import diagnose_run

SMALL = ["schedule=constant", "size=20"]


def as_older_versions_left_it(run: Path) -> None:
    """The run without final.csv, its last row measured on all images."""
    rows = pd.read_csv(run / "metrics.csv")
    score = read_final(run)["test"]
    rows.loc[len(rows) - 1, "test_robust_acc"] = score.robust_acc
    rows.to_csv(run / "metrics.csv", index=False)
    provenance = json.loads((run / "provenance.json").read_text())
    del provenance[SAME_IMAGES]
    (run / "provenance.json").write_text(json.dumps(provenance))
    (run / "final.csv").unlink()


def test_the_last_row_equals_the_same_row_of_a_longer_run(tiny: Path, tmp_path: Path) -> None:
    short = train(load_config(tiny, [*SMALL, "epochs=2"]), tmp_path / "runs", device="cpu")
    long = train(load_config(tiny, [*SMALL, "epochs=4"]), tmp_path / "runs", device="cpu")
    rows = [run.metrics.drop(columns=[*TIMES]) for run in (short, long)]
    pd.testing.assert_frame_equal(rows[0], rows[1][:2])
    score = read_final(short.dir)["test"]
    assert score.images == 360 and score.robust_acc != short.metrics.test_robust_acc.iloc[-1]
    assert diagnose_run(short.dir).table.whole == ()


def test_a_report_shows_the_figures_on_all_images_as_the_final_ones(
    tiny: Path, tmp_path: Path
) -> None:
    run = train(load_config(tiny, [*SMALL, "epochs=2"]), tmp_path / "runs", device="cpu")
    (entry,) = gather([run.dir])[0].entries
    assert final(entry, "test_robust_acc") == read_final(run.dir)["test"].robust_acc
    assert last(entry, "test_robust_acc") == run.metrics.test_robust_acc.iloc[-1]
    (run.dir / "final.csv").write_text("split,images\ntest,many\n")  # damaged
    (entry,) = gather([run.dir])[0].entries
    assert final(entry, "test_robust_acc") == last(entry, "test_robust_acc")


def test_a_run_of_an_older_version_is_read_as_it_was_measured(tiny: Path, tmp_path: Path) -> None:
    parent = train(load_config(tiny, [*SMALL, "epochs=2"]), tmp_path / "runs", device="cpu").dir
    as_older_versions_left_it(parent)
    assert diagnose_run(parent).table.whole == (2,)
    longer = load_config(tiny, [*SMALL, "epochs=4"])
    child = train(longer, tmp_path / "runs", device="cpu", from_run=parent)
    assert diagnose_run(child.dir).table.whole == (2,), "the parent's last row alone"


def test_a_run_begun_by_an_older_version_goes_on_with_rows_on_the_same_images(
    tiny: Path, tmp_path: Path
) -> None:
    config = load_config(tiny, [*SMALL, "epochs=2"])
    run = train(config, tmp_path / "runs", device="cpu").dir
    as_older_versions_left_it(run)
    status = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps(status | {"state": "interrupted"}))
    train(config, tmp_path / "runs", device="cpu")  # whose last epoch was done
    assert diagnose_run(run).table.whole == (2,) and read_final(run)["test"].images == 360


def test_a_run_that_ended_as_not_finite_has_no_final_figures(tiny: Path, tmp_path: Path) -> None:
    run = train(load_config(tiny, ["lr=1e30"]), tmp_path / "runs", device="cpu")
    assert run.status.stopped == "nonfinite" and not (run.dir / "final.csv").exists()
    assert run.to_json()["final"] == {} and pytest.approx(run.status.bad_epoch) == 1
