"""What a sweep's arguments and its block in a file stand for; where their mistakes are."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advtrain.config import yaml_tree
from advtrain.config.grid import RESERVED, Grid, read_grid, short_key
from advtrain.config.load import Merged, load_config, read_merged
from advtrain.config.overrides import keys_of_sections
from advtrain.config.values import parse_seeds, rounded, split, written
from advtrain.errors import AdvtrainError, ConfigError
from advtrain.sweep.plan import plan, read_study
from advtrain.sweep.sweep_tables import CELL_COLUMNS, RUN_COLUMNS


def grid(*arguments: str, seeds: str | None = None) -> Grid:
    return read_grid(Merged(), arguments, seeds)


def texts(grid: Grid) -> dict[str, list[str]]:
    return {"/".join(a.names): [a.label(point) for point in a.points] for a in grid.axes}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("0.1,0.2", ["0.1", "0.2"]),
        ("[20,30],[40]", ["[20,30]", "[40]"]),
        ("{name: mlp, args: {width: 8}},small_cnn", ["{name: mlp, args: {width: 8}}", "small_cnn"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ('["x,]", y],z', ['["x,]", y]', "z"]),
        ("logspace(1e-3, 1, 7)", ["logspace(1e-3, 1, 7)"]),
        ("it's,b", ["it's", "b"]),
        ("[1,2", ["[1,2"]),
        ("a]b,[", ["a]b,["]),
    ],
)
def test_commas_split_unless_something_encloses_them(text: str, parts: list[str]) -> None:
    assert split(text) == parts


@settings(deadline=None)
@given(st.text(alphabet="a1,[]{}()'\" :", max_size=30))
def test_splitting_loses_nothing(text: str) -> None:
    assert ",".join(split(text)) == text


def test_several_values_are_an_axis_and_one_is_an_override() -> None:
    found = grid("eps=8/255,.2", "steps=5", "lr=logspace(1e-3, 1, 4)", "milestones=[1,2],[3]",
                 seeds="0-2,7")  # fmt: skip
    assert texts(found) == {
        "eps": ["8/255", "0.2"],
        "lr": ["0.001", "0.01", "0.1", "1"],
        "milestones": ["[1,2]", "[3]"],
    }
    assert found.overrides == ("steps=5",) and found.seeds == (0, 1, 2, 7)
    assert len(list(found.cells())) == 16


def test_a_block_in_the_file_sweeps_and_arguments_replace_its_keys(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(
        "model: mlp\ndataset: digits\nsweep:\n  lr: logspace(1e-3, 1, 7)\n  seeds: 0-1\n"
    )
    path = tmp_path / "a.yaml"
    path.write_text(
        "base: base.yaml\nsweep:\n  weight_decay: [0, 5e-4]\n"
        "  zip: {eps: [0.1, 0.2], epochs: [40, 60]}\n"
    )
    found = read_grid(read_merged(path), ["lr=0.1,0.5"], None)
    assert texts(found) == {
        "weight_decay": ["0", "0.0005"],
        "eps/training.epochs": ["0.1/40", "0.2/60"],
        "lr": ["0.1", "0.5"],
    }
    assert found.seeds == (0, 1)
    study = read_study(path, ["lr=0.1"], "3", tmp_path / "runs")
    runs = plan(study)
    assert len(runs) == 4 and {run.seed for run in runs} == {3}
    assert [(r.config.attack.eps, r.config.training.epochs) for r in runs[:2]] == [
        (0.1, 40), (0.2, 60),
    ]  # fmt: skip
    assert {run.config.optimizer.lr for run in runs} == {0.1}


def test_a_cell_is_the_run_that_train_gives(tiny: Path, tmp_path: Path) -> None:
    """Whatever the order: a section is set before the keys in it."""
    study = read_study(tiny, ["lr=0.01,0.1", "optimizer=adam,sgd"], None, tmp_path)
    for run in plan(study):
        name, lr = run.config.optimizer.name, run.config.optimizer.lr
        assert run.config == load_config(tiny, [f"optimizer={name}", f"lr={lr}"])
        assert set(run.overrides) == {f"lr={written(lr)}", f"optimizer={name}"}


@pytest.mark.parametrize(
    ("arguments", "seeds", "expected"),
    [
        (["lr=0.1,.1"], None, "argument 'lr=0.1,.1': optimizer.lr: 0.1 stands there twice"),
        (["eps=8/255,0.03137254901960784"], None, "stands there twice"),
        (["lr=0.1,"], None, "argument 'lr=0.1,': a value is missing"),
        (["lr=0.1,0.2", "optimizer.lr=1,2"], None, "optimizer.lr is given twice"),
        (["lr=0.1,0.2", "lr=3"], None, "optimizer.lr is given twice"),
        (["lrr=0.1,0.2"], None, "argument 'lrr=0.1,0.2': lrr: unknown key, did you mean lr?"),
        (["lr"], None, "argument 'lr': expected KEY=VALUE"),
        (["=1,2"], None, "argument '=1,2': expected KEY=VALUE"),
        (["lr=logspace(1,1e-3,7)"], None, "expected logspace(LOW, HIGH, COUNT) with 0 < LOW"),
        (["lr=logspace(1e-3,1,1000000)"], None, "2 to 100000 values"),
        (["seed=7"], "0-1", "argument 'seed=7': the seeds are given by --seeds, too"),
        (["lr=logspace(1e-3,1)"], None, "expected logspace(LOW, HIGH, COUNT) with 0 < LOW"),
        (["lr=logspace(1e-3,1,7.5)"], None, "expected logspace"),
        (["seed=0,1"], None, "argument 'seed=0,1': seed cannot be swept; write --seeds 0,1"),
        (["name=a,b"], None, "name cannot be swept"),
        ([], "0-", "argument '--seeds 0-': expected seeds such as 0-4 or 0,2,5-7, got '0-'"),
        ([], "4-0", "expected seeds such as"),
        ([], "0,0-2", "a seed stands there twice"),
        ([], "99999999999", "expected seeds such as"),
        ([], "", "expected seeds such as"),
    ],
)
def test_a_mistake_in_an_argument_is_named(
    arguments: list[str], seeds: str | None, expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        grid(*arguments, seeds=seeds)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ("  lr: []", "a.yaml:4:3: sweep.lr: an empty list; expected values such as"),
        ("  lr: 0.1", "a.yaml:4:3: sweep.lr: no list; expected values such as"),
        ("  lr: [0.1, 1e-1]", "a.yaml:4:13: optimizer.lr: 0.1 stands there twice"),
        ("  lr: [1, 2]\n  optimizer.lr: [3, 4]", "a.yaml:5:18: optimizer.lr is swept twice"),
        ("  lrr: [1, 2]", "a.yaml:4:3: lrr: unknown key, did you mean lr?"),
        ("  {lr: logspace(1e-3, 1, 7)}", "within braces it needs quotes"),
        ("  zip: {eps: [1, 2], lr: [1]}", "sweep.zip: lists that move together have one length; "
         "attack.eps has 2, optimizer.lr has 1"),
        ("  zip: {eps: [1, 2]}", "sweep.zip: expected a mapping of several keys to lists"),
        ("  zip: {eps: [.1, .1], lr: [1, 1.0]}", "sweep.zip: 0.1, 1 stands there twice"),
        ("  zip:\n    - {eps: [1, 2], lr: [1, 2]}\n    - {lr: [3, 4], steps: [1, 2]}",
         "optimizer.lr is swept twice"),
        ("  seeds: x", "a.yaml:4:3: sweep.seeds: expected seeds such as 0-4 or 0,2,5-7, got 'x'"),
        ("  seed: [0, 1]", "sweep.seed: cannot be swept; write seeds: [0, 1, 2]"),
        ("  - 3", "a.yaml:3:1: sweep: expected a mapping of keys to lists of values"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_block_has_its_place(tmp_path: Path, block: str, expected: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"model: mlp\ndataset: digits\nsweep:\n{block}\n")
    with pytest.raises(ConfigError) as caught:
        read_grid(read_merged(path), [], None)
    assert expected in str(caught.value), str(caught.value)


def test_a_zip_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("sweep:\n  zip: {eps: [0.1, 0.2], lr: [1, 2]}\n")
    with pytest.raises(ConfigError, match=r"attack.eps moves together with optimizer.lr"):
        read_grid(read_merged(path), ["eps=0.3"], None)
    found = read_grid(read_merged(path), ["eps=0.3", "lr=4,5"], None)
    assert texts(found) == {"lr": ["4", "5"]} and found.overrides == ("eps=0.3",)


def test_train_refuses_a_file_that_sweeps(advtrain, tiny: Path) -> None:
    tiny.write_text(tiny.read_text() + "sweep: {lr: [0.1, 0.2]}\n")
    done = advtrain("train", tiny)
    assert done.code == 2
    assert done.err == (
        f"{tiny}:7:1: sweep: the config describes several runs; train them with "
        f"`advtrain sweep {tiny}`\n"
    )


def test_every_invalid_cell_is_named_before_anything_starts(
    advtrain, tiny: Path, tmp_path: Path
) -> None:
    done = advtrain("sweep", tiny, "eps=0.1,1.5", "lr=0.1,-1,x", "steps=2")
    assert done.code == 2 and not (tmp_path / "runs").exists()
    lines = done.err.splitlines()
    assert len(lines) == 3 and lines[0].startswith("argument 'lr=0.1,-1,x': optimizer.lr: ")
    assert "(in eps=0.1 lr=-1; eps=1.5 lr=-1)" in done.err
    assert "(in eps=0.1 lr=x; eps=1.5 lr=x)" in done.err
    assert "(in eps=1.5 lr=0.1; eps=1.5 lr=-1; eps=1.5 lr=x)" in done.err
    assert "(in every cell)" in advtrain("sweep", tiny, "lr=0.1,0.2", "eps=7").err
    missing = advtrain("sweep", tiny, "lr=0.1,0.2", "model.weights=none.pt,no.pt")
    assert missing.code == 2 and not (tmp_path / "runs").exists()
    assert "none.pt: No such file or directory (in lr=0.1 weights=none.pt; lr=0.2" in missing.err
    assert "no.pt: No such file or directory (in lr=0.1 weights=no.pt; lr=0.2" in missing.err
    unwritable = advtrain("sweep", tiny, "lr=0.1,0.2", "--runs-dir", tiny / "x")
    assert unwritable.code == 2 and "cannot be written: Not a directory" in unwritable.err


def test_two_cells_that_are_one_experiment_are_refused(tiny: Path, tmp_path: Path) -> None:
    study = read_study(tiny, ["alpha=0.125,2.5*eps/steps", "start=uniform"], None, tmp_path)
    assert len({run.path for run in plan(study)}) == 2
    study = read_study(tiny, ["optimizer=sgd,{name: sgd}"], None, tmp_path)
    with pytest.raises(ConfigError, match="are one experiment"):
        plan(study)


def test_nothing_to_sweep_and_too_much_are_refused(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(AdvtrainError, match="nothing to sweep"):
        read_study(tiny, ["lr=0.1"], None, tmp_path)
    study = read_study(tiny, ["lr=logspace(1e-9,1,999)", "eps=logspace(1e-9,1,999)"], "0", tmp_path)
    with pytest.raises(AdvtrainError, match="998001 runs"):
        plan(study)


@given(
    st.floats(1e-6, 1e3), st.floats(1.01, 1e6), st.integers(2, 60),
)  # fmt: skip
def test_logspace_has_equal_ratios_and_short_distinct_values(
    low: float, ratio: float, count: int
) -> None:
    values = [
        float(point[0].text)
        for point in grid(f"lr=logspace({low!r},{low * ratio!r},{count})").axes[0].points
    ]
    assert len(set(values)) == count and values == sorted(values)
    step = math.log(ratio) / (count - 1)
    for i, value in enumerate(values):
        assert math.log(value / low) == pytest.approx(i * step, abs=max(0.006, 0.0))


def test_rounding_keeps_three_digits_unless_values_would_meet() -> None:
    assert rounded([0.0012345, 0.5]) == [0.00123, 0.5]
    assert rounded([1.0001, 1.0002]) == [1.0001, 1.0002]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(-1e9, 1e9)
        | st.text(alphabet="ab ,:'[]{}#1.-", max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.text(alphabet="abc", min_size=1, max_size=3), inner, max_size=3),
        max_leaves=5,
    )
)  # fmt: skip
def test_what_is_written_reads_as_the_same_value(value: object) -> None:
    assert yaml_tree.parse(written(value)).value == value


def test_seeds_are_ranges_and_lists() -> None:
    assert parse_seeds("0-2, 5,9-9", "", []) == (0, 1, 2, 5, 9)


def test_no_short_key_is_a_column_of_the_tables() -> None:
    columns = {*RUN_COLUMNS, *CELL_COLUMNS}
    for section, keys in keys_of_sections().items():
        for key in keys:
            assert short_key((section, key)) not in columns, key
    assert short_key(("training", "epochs")) == "training.epochs"
    assert short_key(("evaluation", "steps")) == "evaluation.steps"
    assert short_key(("attack", "steps")) == "steps"
    assert columns >= RESERVED


def test_a_seed_argument_replaces_the_files_seeds(tiny: Path) -> None:
    tiny.write_text(tiny.read_text() + "sweep: {eps: [0.1, 0.2], seeds: 0-4}\n")
    runs = plan(read_study(tiny, ["seed=7"], None, Path("runs")))
    assert [run.seed for run in runs] == [7, 7]


def test_logspace_reaches_from_the_smallest_to_the_largest(tiny: Path) -> None:
    values = [point[0].value for point in grid("lr=logspace(1e-300, 1e300, 3)").axes[0].points]
    assert values == [1e-300, 1.0, 1e300]
