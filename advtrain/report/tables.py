"""The report's tables as CSV, in full for programs and spreadsheets; latex.py has a paper's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from advtrain.diagnosis.verdict import AXES
from advtrain.report.latex import latex_tables
from advtrain.store.files import to_csv

Row = dict[str, Any]


def tables(content: Mapping[str, Any]) -> dict[str, bytes]:
    """File names with their content, of the object that `content` gives.

    CSVs hold fractions in full, a mean and its sd in columns of their own. curves.csv is for
    plotting and has no LaTeX.
    """
    rows = {"cells": _cells(content), "runs": _runs(content)}
    if content["comparison"]:
        rows["differences"] = list(content["comparison"]["differences"])
    if evaluations := _evaluations(content):
        rows["evaluations"] = evaluations
    files = {f"{name}.tex": found for name, found in latex_tables(content).items()}
    files |= {f"{name}.csv": _csv(found) for name, found in rows.items()}
    return files | {"curves.csv": _csv(_curves(content))}


def _cells(content: Mapping[str, Any]) -> list[Row]:
    """A row a cell: where it stands, its verdicts, its accuracies over seeds."""
    several = len(content["sides"]) == 2
    averaged = any(cell["last"][name]["seeds"] for cell in content["cells"]
                   for name in ("ema_test_clean_acc", "ema_test_robust_acc"))  # fmt: skip
    found = []
    for cell in content["cells"]:
        row: Row = {"side": "AB"[cell["side"]]} if several else {}
        row |= {axis["keys"][0]: cell["at"].get(axis["keys"][0]) for axis in content["axes"]}
        if not content["axes"]:
            row["cell"] = cell["label"]
        row |= {"seeds": len(cell["runs"]), "converged": cell["converged"]}
        for moment, kind in (("last", "clean"), ("last", "robust"), ("best", "robust")):
            one = cell[moment][f"test_{kind}_acc"]
            row |= {f"{moment}_{kind}_acc": one["mean"], f"{moment}_{kind}_sd": one["sd"]}
        for kind in ("clean", "robust") if averaged else ():
            one = cell["last"][f"ema_test_{kind}_acc"]
            row |= {f"ema_{kind}_acc": one["mean"], f"ema_{kind}_sd": one["sd"]}
        found.append(row | {"headline": cell["headline"]})
    return found


def _runs(content: Mapping[str, Any]) -> list[Row]:
    """A row a run: its verdict by axis and its accuracies."""
    found = []
    for cell in content["cells"]:
        for i, run in enumerate(cell["runs"]):
            verdict = run["verdict"]
            figures = {f"{moment}_robust_acc": cell[moment]["test_robust_acc"]["values"][i]
                       for moment in ("last", "best", "oracle")}  # fmt: skip
            found.append(
                {"cell": cell["label"], "seed": run["seed"], "state": run["state"],
                 "converged": verdict["converged"], "cause": verdict["cause"]}
                | {axis: verdict["axes"][axis]["state"] for axis in AXES}
                | figures
                | {"best_epoch": run["best_epoch"], "epochs": run["epochs"], "path": run["path"]}
            )  # fmt: skip
    return found


def _evaluations(content: Mapping[str, Any]) -> list[Row]:
    """A row a cell, checkpoint, weights, ball and attack."""
    several = len(content["sides"]) == 2
    return [
        ({"side": "AB"[cell["side"]]} if several else {})
        | {"cell": cell["label"]}
        | {name: one[name] for name in ("checkpoint", "weights", "norm", "eps", "attack")}
        | {"images": "/".join(map(str, one["images"])), "seeds": one["seeds"]}
        | {"mean_acc": one["mean"], "mean_sd": one["sd"]}
        | {name: one[name] for name in ("se", "low", "high")}
        | {"warnings": "; ".join(one["warnings"])}
        for cell in content["cells"]
        for one in cell["evaluations"]
    ]


def _curves(content: Mapping[str, Any]) -> list[Row]:
    """A row a cell, column and epoch."""
    return [
        {"cell": cell["label"], "side": cell["side"], "column": name, "epoch": epoch,
         "mean": mean, "low": low, "high": high, "seeds": count, "band": one["kind"]}
        for cell in content["cells"]
        for name, one in cell["bands"].items()
        for epoch, mean, low, high, count in zip(
            one["epoch"], one["mean"], one["low"], one["high"], one["count"], strict=True)
    ]  # fmt: skip


def _csv(rows: Sequence[Row]) -> bytes:
    return to_csv(list(rows[0]) if rows else [], [list(row.values()) for row in rows])
