"""A sweep over objectives, names and mappings, is told in words: `pgd`, `fgsm start=noise`."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest

from advtrain.report.input.cells import cells_of, maps_of
from advtrain.report.input.gather import gather
from advtrain.report.numbers.content import content, report_on
from advtrain.report.tables import tables
from advtrain.store.writer import note_queued
from tests.helpers.pages import made_of
from tests.helpers.synthetic import learning, write_run

METHODS = {
    "pgd": "pgd",
    "trades": "trades",
    "{name: trades, beta: 3}": "trades beta=3",
    "mart": "mart",
    "{name: fgsm, start: noise}": "fgsm start=noise",
    "{name: fgsm, start: uniform, alpha: 1.25*eps}": "fgsm alpha=1.25*eps",
    "{name: fgsm, start: zero, gradalign: 0.2}": "fgsm start=zero gradalign=0.2",
    "{name: free, replays: 4}": "free replays=4",
    "{name: pgd, awp: 0.01}": "pgd awp=0.01",
}


def written(folder: Path, *objectives: str, more: tuple[str, ...] = (), seeds: int = 1) -> Path:
    for i, objective in enumerate(objectives):
        for seed in range(seeds):
            # Named so that the folder's order is this one.
            write_run(folder, learning(9, seed=seed), f"objective={objective}", f"seed={seed}",
                      *more, name=f"{i}{'-'.join(more)}-s{seed}-00000000")  # fmt: skip
    return folder


def swept(folder: Path, *objectives: str) -> Path:
    """A sweep's table over these objectives, two seeds each, in `sweeps` of a folder."""
    sweep = folder / "sweeps" / "0123abcd"
    sweep.mkdir(parents=True)
    with (sweep / "sweep.csv").open("w", newline="") as out:
        rows = [[one, seed, "queued", str(folder / f"{i}-s{seed}-00000000"), ""]
                for i, one in enumerate(objectives) for seed in (0, 1)]  # fmt: skip
        csv.writer(out).writerows([["objective", "seed", "state", "run_dir", "error"], *rows])
    return sweep


def test_methods_are_one_axis_whose_labels_are_words(tmp_path: Path) -> None:
    axes, cells = cells_of(gather([written(tmp_path, *METHODS)]))
    labels = tuple(METHODS.values())
    assert [(axis.keys, axis.labels) for axis in axes] == [(("objective",), labels)]
    assert [cell.label for cell in cells] == [f"objective {label}" for label in labels]
    assert cells[4].id == "objective-fgsm-start-noise"
    (one,) = maps_of(axes, cells)
    assert one.heading == "" and one.rows is None and one.columns.labels == labels
    assert all(one.cells[0])


def test_two_methods_tell_what_is_not_the_default_of_each(tmp_path: Path) -> None:
    runs = written(tmp_path, "{name: fgsm, start: noise}", "{name: pgd, awp: 0.01}")
    _, cells = cells_of(gather([runs]))
    assert [c.label for c in cells] == ["objective fgsm start=noise", "objective pgd awp=0.01"]


def test_page_figures_and_tables_say_the_same_words(tmp_path: Path) -> None:
    runs = written(tmp_path / "runs", "pgd", "{name: fgsm, start: noise}", seeds=2)
    made = made_of(tmp_path / "out", runs)
    assert '<a href="#cell-objective-pgd" aria-label="objective pgd">pgd</a>' in made.html
    assert ">fgsm start=noise</a>" in made.html and "{name: fgsm" not in made.html
    assert "fgsm start=noise" in made.drawn["verdicts-0"].alt
    cells = pd.read_csv(io.BytesIO(tables(made.content)["cells.csv"]))
    assert cells["objective"].tolist() == ["pgd", "fgsm start=noise"]


def test_a_key_that_goes_with_every_method_is_an_axis_of_its_own(tmp_path: Path) -> None:
    for awp in ("0", "0.01"):
        written(tmp_path, "pgd", "trades", more=(f"awp={awp}",))
    axes, _ = cells_of(gather([tmp_path]))
    assert {axis.name: axis.labels for axis in axes} == {
        "awp": ("0", "0.01"), "objective": ("pgd", "trades")}  # fmt: skip


def test_a_key_of_one_method_stays_a_number(tmp_path: Path) -> None:
    for beta in ("10", "2"):
        written(tmp_path, "trades", more=(f"objective.beta={beta}",))
    axes, _ = cells_of(gather([tmp_path]))
    assert [(axis.name, axis.labels) for axis in axes] == [("beta", ("2", "10"))]


@pytest.mark.parametrize("queued", [False, True])
@pytest.mark.parametrize("begun", [0, 4, len(METHODS)])
def test_what_a_sweep_has_not_begun_is_told_alike(tmp_path: Path, begun: int, queued: bool) -> None:
    sweep = swept(tmp_path, *METHODS)
    written(tmp_path, *list(METHODS)[:begun])
    for i in range(begun, len(METHODS) if queued else 0):
        for seed in (0, 1):
            note_queued(tmp_path / f"{i}-s{seed}-00000000", f"9_{i}", 3)
    found = content(report_on(gather([sweep]), None), tmp_path)
    labels = [f"objective {label}" for label in METHODS.values()]
    assert sorted(cell["label"] for cell in found["cells"]) == sorted(labels)
    if begun in (0, len(METHODS)):
        assert [cell["label"] for cell in found["cells"]] == labels, "in the sweep's order"
    assert {len(cell["runs"]) for cell in found["cells"]} == {2}, "seeds that wait join theirs"
