"""Cells and sides are called by what differs, never by a path; the full values are at hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from advtrain.report.figures.comparison import overlay
from advtrain.report.input.gather import gather
from advtrain.report.input.labels import short_values
from advtrain.report.make import together
from advtrain.report.numbers.content import content, report_on
from advtrain.report.page.render import page
from tests.helpers.drawn import texts
from tests.helpers.synthetic import CONFIG, learning, write_csv, write_run


def numbers(*paths: Path) -> dict[str, Any]:
    return content(report_on(together(gather(paths)), None), paths[0].parent)


def labels(*paths: Path) -> list[str]:
    return [cell["label"] for cell in numbers(*paths)["cells"]]


def write_recipe(folder: Path, *overrides: str, text: str = "") -> Path:
    """Two seeds in directories whose names tell nothing."""
    for seed in (0, 1):
        write_run(folder, learning(9, 0.5, seed), f"seed={seed}", *overrides,
                  text=CONFIG + text, name=f"x-s{seed}-{seed:08x}")  # fmt: skip
    return folder


def test_two_recipes_are_called_by_what_they_do_differently(tmp_path: Path) -> None:
    a = write_recipe(tmp_path / "a", text="objective: pgd\n")
    b = write_recipe(tmp_path / "b", text="objective: {name: trades, beta: 3}\n")
    found = numbers(a, b)
    assert [cell["label"] for cell in found["cells"]] == ["objective pgd",
                                                          "objective trades beta=3"]  # fmt: skip
    assert [side["label"] for side in found["sides"]] == ["objective pgd",
                                                          "objective trades beta=3"]  # fmt: skip
    assert [side["name"] for side in found["sides"]] == [str(a), str(b)]


def test_a_legend_names_recipes_and_no_path(tmp_path: Path) -> None:
    a, b = (write_recipe(tmp_path / name, f"lr={lr}") for name, lr in (("a", "0.1"), ("b", "0.2")))
    report = report_on(gather([a, b]), None)
    assert report.comparison is not None
    (pair,) = report.comparison.pairs
    said = texts(overlay(*pair, report.side_names))
    assert {"A: lr 0.1", "B: lr 0.2"} <= set(said)
    assert not any(str(tmp_path) in text or "/" in text for text in said)


def test_recipes_that_do_not_differ_are_a_and_b(tmp_path: Path) -> None:
    a, b = write_recipe(tmp_path / "a"), write_recipe(tmp_path / "b")
    write_run(b, learning(9, 0.7, 3), "seed=3")
    report = report_on(gather([a, b]), None)
    assert report.side_names == ("", "") and report.comparison is not None
    (pair,) = report.comparison.pairs
    assert {"A", "B"} <= set(texts(overlay(*pair, report.side_names)))


def test_swept_sides_are_called_by_what_is_not_swept(tmp_path: Path) -> None:
    for folder, batch in (("a", 32), ("b", 64)):
        for lr in ("0.1", "0.2"):
            write_run(tmp_path / folder, learning(9), f"lr={lr}", f"batch_size={batch}")
    found = numbers(tmp_path / "a", tmp_path / "b")
    assert [side["label"] for side in found["sides"]] == ["batch_size 32", "batch_size 64"]
    assert {cell["label"] for cell in found["cells"]} == {"lr 0.1", "lr 0.2"}


def test_many_differences_are_counted_and_choices_come_first(tmp_path: Path) -> None:
    a = write_recipe(tmp_path / "a", "optimizer=adam", "lr=0.001", "batch_size=16", "eps=0.2")
    b = write_recipe(tmp_path / "b")
    first, second = labels(a, b)
    assert first.startswith("optimizer adam, ") and second.startswith("optimizer sgd, ")
    assert first.endswith(" more") and second.endswith(" more")
    full = numbers(a, b)["cells"][0]["full"]
    assert {"optimizer adam", "eps 0.2", "lr 0.001", "batch_size 16"} <= set(full.split(", "))


def test_a_run_alone_is_called_by_its_config(tmp_path: Path) -> None:
    run = write_run(tmp_path, learning(9), name="eps9-lr9-s0-00000000")
    assert labels(run) == ["made, eps 0.1, lr 0.05"]


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    files = []
    for folder in ("mine/logs", "theirs/logs"):
        (tmp_path / folder).mkdir(parents=True)
        files.append(write_csv(tmp_path / folder / "log.csv", learning(9)))
    found = numbers(*files)
    assert [cell["label"] for cell in found["cells"]] == ["log (mine)", "log (theirs)"]
    assert [side["label"] for side in found["sides"]] == ["log (mine)", "log (theirs)"]
    assert found["cells"][0]["full"] == str(files[0])
    other = write_csv(tmp_path / "mine" / "other.csv", learning(9))
    assert labels(files[0], other) == ["log", "other"]


def test_runs_of_one_recipe_are_told_apart_by_their_configs_names(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_run(tmp_path, learning(9), text=CONFIG.replace("name: made", f"name: {name}"),
                  name=f"{name}-s0-00000000")  # fmt: skip
    assert labels(tmp_path) == ["first, eps 0.1, lr 0.05", "second, eps 0.1, lr 0.05"]


def test_values_are_short_where_they_stay_apart() -> None:
    long = "[0.25, 0.5, 0.75, 0.875, 0.9]"
    values = ["0.0031622776601683794", "8/255", "0.1", "100000", long]
    assert [*short_values(values).values()] == [
        "0.003162", "8/255", "0.1", "1e+05", "[0.25, 0.5, 0.75, 0.875…"]  # fmt: skip
    alike = ["0.12345678", "0.12345679", f"{long} a", f"{long} b"]
    assert [*short_values(alike).values()] == alike


def test_a_short_name_shows_its_full_values_on_hover(tmp_path: Path) -> None:
    lrs = ("0.0031622776601683794", "0.031622776601683794")
    for lr in lrs:
        write_run(tmp_path, learning(9), f"lr={lr}", name=f"x-s0-{lr[-8:]}")
    found = numbers(tmp_path)
    assert [cell["label"] for cell in found["cells"]] == ["lr 0.003162", "lr 0.03162"]
    html = page(found, {})
    for lr in lrs:
        assert f'title="lr {lr}"' in html
    assert "x-s0-" not in html.partition('id="made"')[0], "no directory before its own section"
