"""What `advtrain evaluate` left in the runs, as numbers, page, tables and print tell it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from advtrain.report.input.gather import gather
from advtrain.report.numbers.content import content, report_on
from advtrain.report.numbers.strengths import rank
from advtrain.report.page.render import page
from advtrain.report.tables import tables
from tests.helpers.pages import HOSTILE, Read, made_of, poisoned
from tests.helpers.synthetic import learning, write_evaluation, write_run

ATTACKS = ["clean", "pgd-20-1", "pgd-50-10", "apgd-ce", "apgd-t", "fab-t", "square", "autoattack"]


def about(*paths: Path) -> dict[str, Any]:
    return content(report_on(gather(paths), None), Path("report"))


def methods(folder: Path) -> Path:
    """PGD with two evaluated seeds, TRADES with one of two, MART with none."""
    for objective in ("pgd", "trades", "mart"):
        for seed in (0, 1):
            run = write_run(folder, learning(9, seed=seed), f"objective={objective}",
                            f"seed={seed}")  # fmt: skip
            if objective == "pgd":
                accuracies = {"autoattack": 0.5 + 0.04 * seed, "pgd-50-10": 0.55, "clean": 0.8}
                write_evaluation(run, accuracies, epoch=7 + seed)
            elif objective == "trades" and seed == 1:
                warned = {"pgd-50-10": "input gradients are zero"}
                write_evaluation(run, {"clean": 0.75, "pgd-50-10": 0.46}, warned, se=0.0158)
    return folder


def test_several_seeds_have_students_interval_and_one_has_wilsons(tmp_path: Path) -> None:
    mart, pgd, trades = about(methods(tmp_path))["cells"]
    assert mart["evaluations"] == [] and mart["runs"][0]["evaluations"] == []
    assert [one["attack"] for one in pgd["evaluations"]] == ["clean", "pgd-50-10", "autoattack"]
    strongest = pgd["evaluations"][2]
    spread = {name: strongest.pop(name) for name in ("mean", "sd", "low", "high")}
    assert strongest == {
        "checkpoint": "best", "weights": "model", "norm": "linf", "eps": 0.1,
        "attack": "autoattack", "images": [1000], "values": (0.5, 0.54), "seeds": 2,
        "least": 0.5, "most": 0.54, "se": None, "warnings": []}  # fmt: skip
    assert spread == pytest.approx(
        {"mean": 0.52, "sd": 0.0282842712, "low": 0.265876, "high": 0.774124}
    )
    lone = trades["evaluations"][1]
    assert (lone["values"], lone["seeds"], lone["sd"], lone["se"]) == (
        (None, 0.46),
        1,
        None,
        0.0158,
    )
    oracle = stats.binomtest(460, 1000).proportion_ci(method="wilson")
    assert (lone["low"], lone["high"]) == pytest.approx((oracle.low, oracle.high), abs=1e-5)
    assert lone["warnings"] == ["input gradients are zero"]
    assert pgd["runs"][1]["evaluations"][0] == {
        "checkpoint": "best", "epoch": 8, "weights": "model", "norm": "linf", "eps": 0.1,
        "attack": "autoattack", "images": 1000, "accuracy": 0.54, "se": 0.0125, "seconds": 1.5,
        "warnings": [], "sha": "0123abcd"}  # fmt: skip


def test_attacks_stand_from_weak_to_strong() -> None:
    backwards = ATTACKS[::-1]
    assert sorted(backwards, key=rank) == ATTACKS
    assert sorted(["pgd-100-1", "pgd-9-10", "pgd-9-2"], key=rank) == [
        "pgd-9-2", "pgd-9-10", "pgd-100-1"]  # fmt: skip


def test_checkpoints_weights_and_eps_are_told_apart(tmp_path: Path) -> None:
    run = write_run(tmp_path, learning(9))
    rows: list[dict[str, Any]] = [{}, {"weights": "ema"}, {"eps": 0.2}, {"checkpoint": "last"}]
    for i, row in enumerate(rows):
        write_evaluation(run, {"clean": 0.8, "pgd-50-10": round(0.4 + i / 100, 2)}, **row)
    write_evaluation(run, {"pgd-50-10": 0.9}, images=100)
    (cell,) = about(run)["cells"]
    told = [(one["checkpoint"], one["weights"], one["eps"], one["mean"], one["images"])
            for one in cell["evaluations"] if one["attack"] == "pgd-50-10"]  # fmt: skip
    assert told == [
        ("best", "model", 0.1, 0.4, [1000]),  # more images count for more
        ("best", "ema", 0.1, 0.41, [1000]),
        ("best", "model", 0.2, 0.42, [1000]),
        ("last", "model", 0.1, 0.43, [1000]),
    ]


def test_the_page_compares_the_methods_and_tells_each_cell(tmp_path: Path) -> None:
    made = made_of(tmp_path / "out", methods(tmp_path / "runs"))
    text = " ".join(" ".join(Read(made.html).texts).split())
    overview = text[text.index("Accuracy in per cent under the attacks") :]
    overview = overview[: overview.index("Cell by cell")]
    assert "cell checkpoint weights eps n clean pgd-50-10 autoattack" in overview
    pgd, trades = overview.index("objective pgd"), overview.index("objective trades")
    assert "0.1 linf 2 80.0 ± 0.0 55.0 ± 0.0 52.0 ± 2.8" in overview[pgd:trades]
    assert "0.1 linf 1 75.0 ± 1.6 46.0 ± 1.6 ! –" in overview[trades:]
    assert "objective mart" not in overview
    assert "95% interval (mean ± t sd/√n over seeds)" in text and "26.6 to 77.4" in text
    assert "95% interval (Wilson, over images)" in text and "42.9 to 49.1" in text
    assert "input gradients are zero" in text
    assert '<td class="number" data-sort="0.52">52.0' in made.html, "sorted by number"


def test_without_an_evaluation_nothing_is_shown(tmp_path: Path, advtrain) -> None:
    run = write_run(tmp_path / "runs", learning(9))
    made = made_of(tmp_path / "out", run)
    assert "valuation</h" not in made.html and "advtrain evaluate" not in made.html
    assert "averaged weights" not in made.html
    assert not any(name.startswith("evaluations") for name in tables(made.content))
    assert "evaluation" not in advtrain("report", "runs").out


def test_tables_hold_a_row_an_attack(tmp_path: Path) -> None:
    files = tables(about(methods(tmp_path)))
    rows = pd.read_csv(io.BytesIO(files["evaluations.csv"]), keep_default_na=False, dtype=str)
    assert list(rows) == ["cell", "checkpoint", "weights", "norm", "eps", "attack", "images",
                          "seeds", "mean_acc", "mean_sd", "se", "low", "high",
                          "warnings"]  # fmt: skip
    assert rows.iloc[4].tolist()[:10] == [
        "objective trades", "best", "model", "linf", "0.1", "pgd-50-10", "1000", "1", "0.46",
        ""]  # fmt: skip
    assert rows.iloc[4].tolist()[10] == "0.0158" and rows["warnings"][4].startswith("input grad")
    tex = files["evaluations.tex"].decode()
    assert "objective pgd & best & model & linf & 0.100000 & autoattack & 1000 & 2 & 52.0" in tex


def test_a_line_a_cell_is_printed(tmp_path: Path, advtrain) -> None:
    runs = methods(tmp_path / "runs")
    write_evaluation(next(runs.glob("*trades*-s1-*")), {"apgd-ce": 0.45})
    done = advtrain("report", "runs")
    at = done.out.splitlines().index("evaluation, ± sd over seeds or, of one seed, standard error")
    assert done.out.splitlines()[at + 1 : at + 3] == [
        "  objective pgd, best, eps 0.1: "
        "clean 80.0 ±0.0, pgd-50-10 55.0 ±0.0, autoattack 52.0 ±2.8",
        "  objective trades, best, eps 0.1: clean 75.0 ±1.6, pgd-50-10 46.0 ±1.6 (1 warning)",
    ]
    assert "tables/evaluations.csv" in json.loads(advtrain("report", "runs", "--json").out)["files"]


@pytest.mark.parametrize(
    "damage, note",
    [
        (lambda text: text.replace("0.46", "1.46"), "1 of 2 rows are out of range, left out"),
        (lambda text: text.replace(",1000,", ",0,"), "2 of 2 rows are out of range, left out"),
        (lambda text: text.replace(",1000,", ",-9,"), "2 of 2 rows are out of range, left out"),
        (lambda text: text.replace("0.46", "nan"), "cannot be read"),
        (lambda text: text[: text.index("0.46")], "cannot be read"),
        (lambda text: text.replace("accuracy", "acc"), "cannot be read"),
        (lambda text: text.replace("clean", "\udcff"), "cannot be read"),
        (
            lambda text: text.replace("0123abcd", "76543210", 1),
            "1 of 2 rows are of earlier weights of the same checkpoint, left out",
        ),
    ],
)
def test_a_damaged_file_is_a_note(tmp_path: Path, damage: Any, note: str) -> None:
    run = write_run(tmp_path / "runs", learning(9), name="one-s0-00000000")
    file = write_evaluation(run, {"clean": 0.75, "pgd-50-10": 0.46})
    file.write_bytes(damage(file.read_text()).encode(errors="surrogateescape"))
    made = made_of(tmp_path / "out", run)
    (found,) = [text for text in made.content["notes"] if "evaluation.csv" in text]
    assert found.startswith("one-s0-00000000/evaluation.csv: ") and note in found
    assert found.split(":")[0] in " ".join(Read(made.html).texts)


def test_a_folder_in_its_place_is_a_note(tmp_path: Path) -> None:
    run = write_run(tmp_path, learning(9))
    (run / "evaluation.csv").mkdir()
    assert "evaluation.csv: cannot be read" in about(run)["notes"][0]


def test_hostile_texts_of_an_evaluation_stay_text(tmp_path: Path) -> None:
    for lr in ("0.1", "0.2"):
        run = write_run(tmp_path / "runs", learning(9), f"lr={lr}")
        warned = {"pgd-50-10": HOSTILE, "clean\x1b[31m": "\x00\x1b[2J" + HOSTILE}
        write_evaluation(run, {"pgd-50-10": 0.5, "clean\x1b[31m": 0.5, HOSTILE: 0.4}, warned,
                         checkpoint=HOSTILE, norm=HOSTILE, weights=HOSTILE,
                         sha=HOSTILE)  # fmt: skip
    made = made_of(tmp_path / "out", tmp_path / "runs")
    for html in (made.html, page(poisoned(made.content), made.drawn)):
        read = Read(html)
        assert "img" not in {tag for tag, _ in read.elements}
        assert [tag for tag, _ in read.elements].count("script") == html.count("<script")
        assert not {name for _, attrs in read.elements for name in attrs if name[:2] == "on"}
        assert "49" not in [text.strip() for text in read.texts]
        assert "\x1b" not in html and "\x00" not in html
    texts = " ".join(" ".join(read.texts).split())
    assert "<img src=x onerror=alert(1)>" in texts, "shown as it is"


def test_one_common_eps_is_advised_where_it_costs_no_training(tmp_path: Path) -> None:
    for eps in ("0.1", "0.2"):
        write_run(tmp_path / "runs", learning(9), f"eps={eps}")
    advice = "advtrain evaluate RUN --eps 0.1"
    made = made_of(tmp_path / "a", tmp_path / "runs")
    assert advice in made.html and "evaluation.eps" not in " ".join(
        text for text in Read(made.html).texts if "compare" in text)  # fmt: skip
    for run in (tmp_path / "runs").glob("eps*"):
        write_evaluation(run, {"clean": 0.8, "pgd-50-10": 0.4}, eps=0.1)
    assert advice not in made_of(tmp_path / "b", tmp_path / "runs").html


def test_averaged_weights_stand_beside_the_others(tmp_path: Path) -> None:
    for lr in ("0.1", "0.2"):
        curves = learning(9)
        if lr == "0.2":
            curves["ema_test_clean_acc"] = np.linspace(0.1, 0.77, 9)
            curves["ema_test_robust_acc"] = np.linspace(0.1, 0.58, 9)
        write_run(tmp_path / "runs", curves, f"lr={lr}")
    made = made_of(tmp_path / "out", tmp_path / "runs")
    without, with_ema = (cell["last"] for cell in made.content["cells"])
    assert without["ema_test_robust_acc"]["mean"] is None
    assert with_ema["ema_test_robust_acc"]["mean"] == 0.58
    assert with_ema["ema_test_clean_acc"]["mean"] == 0.77
    text = " ".join(" ".join(Read(made.html).texts).split())
    assert text.count("last epoch, averaged weights") == 1, "in one of the cells"
    assert "clean, last robust, averaged clean, averaged verdict" in text
    cells = pd.read_csv(io.BytesIO(tables(made.content)["cells.csv"]))
    assert cells["ema_robust_acc"].fillna(-1).tolist() == [-1, 0.58]


def test_the_newest_weights_of_a_checkpoint_count(tmp_path: Path) -> None:
    run = write_run(tmp_path, learning(9))
    write_evaluation(run, {"clean": 0.7, "autoattack": 0.3}, sha="11111111")
    write_evaluation(run, {"clean": 0.8, "pgd-50-10": 0.4}, sha="22222222", images=500)
    write_evaluation(run, {"clean": 0.6}, sha="33333333", weights="ema")
    found = about(run)
    told = [(one["attack"], one["mean"]) for one in found["cells"][0]["evaluations"]]
    assert told == [("clean", 0.8), ("pgd-50-10", 0.4), ("clean", 0.6)]
    assert "2 of 5 rows are of earlier weights" in found["notes"][0]
