"""The report's tables for a paper: LaTeX (booktabs) with headers to read, mean ± sd, no paths."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from advtrain.report.numbers.outcome import OUTCOMES, listed
from advtrain.report.page.wording import axis, percent, signed, words

Row = dict[str, str]  # by header; a header that begins with `#` is of numbers

_ANSWERS = {True: "yes", False: "no", None: "?"}
_NONE = "–"
_SIGNS = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "−": "$-$", "–": "--", "…": r"\ldots{}", "≠": r"$\neq$",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
} | {sign: f"\\{sign}" for sign in "&%$#_{}"}  # fmt: skip
_SIGN = re.compile("|".join(map(re.escape, _SIGNS)))


def latex_tables(content: Mapping[str, Any]) -> dict[str, bytes]:
    """Names of tables with their LaTeX, of the object that `content` gives; percentages."""
    made = {"cells": _cells(content), "runs": _runs(content)}
    if content["comparison"]:
        made["differences"] = [_difference(one) for one in content["comparison"]["differences"]]
    if evaluations := _evaluations(content):
        made["evaluations"] = evaluations
    return {name: _tabular(rows) for name, rows in made.items()}


def _place(cell: Mapping[str, Any], content: Mapping[str, Any]) -> Row:
    """The side, where there are two, and the cell's place on the axes or its name."""
    row = {"side": "AB"[cell["side"]]} if len(content["sides"]) == 2 else {}
    if not content["axes"]:
        return row | {"cell": cell["label"]}
    for one in content["axes"]:
        value = cell["at"].get(one["keys"][0], cell["label"] if not cell["at"] else _NONE)
        short = dict(zip(one["labels"], one["shown"], strict=True))
        row[one["keys"][0]] = short.get(value, value)
    return row


def _cells(content: Mapping[str, Any]) -> list[Row]:
    """A row a cell: how many seeds converge, why others do not, accuracies over seeds."""
    found = []
    for cell in content["cells"]:
        more = {OUTCOMES[name][1]: cell[name] for name in ("failed", "unfinished") if cell[name]}
        found.append(_place(cell, content) | {
            "#converged": f"{cell['converged']}/{len(cell['runs'])}",
            "not converged": listed(cell["reasons"] | more),
            "#clean acc. (%)": _spread(cell["last"]["test_clean_acc"]),
            "#robust acc. (%)": _spread(cell["last"]["test_robust_acc"]),
            "#robust acc., best epoch (%)": _spread(cell["best"]["test_robust_acc"]),
            "#clean acc., averaged weights (%)": _spread(cell["last"]["ema_test_clean_acc"]),
            "#robust acc., averaged weights (%)": _spread(cell["last"]["ema_test_robust_acc"]),
        })  # fmt: skip
    return found


def _runs(content: Mapping[str, Any]) -> list[Row]:
    """A row a run: its verdict by axis and its accuracies."""
    found = []
    for cell in content["cells"]:
        for i, run in enumerate(cell["runs"]):
            verdict = run["verdict"]
            values = {moment: cell[moment]["test_robust_acc"]["values"][i]
                      for moment in ("last", "best", "oracle")}  # fmt: skip
            found.append(
                _place(cell, content)
                | {"#seed": _told(run["seed"]), "converged": _ANSWERS[verdict["converged"]]}
                | {axis(name): words(one["state"]) for name, one in verdict["axes"].items()}
                | {"#robust acc. (%)": percent(values["last"]),
                   "#robust acc., best epoch (%)": percent(values["best"]),
                   "#robust acc., peak on test (%)": percent(values["oracle"]),
                   "#best epoch": _told(run["best_epoch"]), "#epochs": str(run["epochs"])}
            )  # fmt: skip
    return found


def _difference(one: Mapping[str, Any]) -> Row:
    alike = one["seeds_a"] == one["seeds_b"]
    return {
        "cell": one["label"],
        "epoch": "last" if one["what"] == "last" else "best on validation",
        "#A (%)": percent(one["a"]),
        "#B (%)": percent(one["b"]),
        "#B − A (points)": signed(one["difference"]),
        "#95% interval": _interval(one, signed),
        "#seeds": str(one["seeds_a"]) if alike else f"{one['seeds_a']}, {one['seeds_b']}",
        "paired": _ANSWERS[one["paired"]],
    }


def _evaluations(content: Mapping[str, Any]) -> list[Row]:
    """A row a cell, checkpoint, weights, ball and attack."""
    return [
        _place(cell, content)
        | {"attack": one["attack"], "checkpoint": one["checkpoint"], "weights": one["weights"]}
        | {"evaluated norm": one["norm"], "#evaluated eps": f"{one['eps']:.4g}"}
        | {"#accuracy (%)": _spread(one), "#95% interval (%)": _interval(one, percent)}
        | {"#seeds": str(one["seeds"]), "#images": ", ".join(map(str, one["images"]))}
        for cell in content["cells"]
        for one in cell["evaluations"]
    ]


def _spread(one: Mapping[str, Any]) -> str:
    """Mean ± sd over seeds; of one evaluated seed ± its standard error."""
    spread = one["sd"] if one["sd"] is not None else one.get("se")
    more = f" ± {percent(spread)}" if spread is not None else ""
    return f"{percent(one['mean'])}{more}"


def _interval(one: Mapping[str, Any], say: Callable[[float | None], str]) -> str:
    return _NONE if one["low"] is None else f"{say(one['low'])} to {say(one['high'])}"


def _told(value: object) -> str:
    return _NONE if value is None else str(value)


def _tabular(rows: Sequence[Row]) -> bytes:
    """The rows without those columns of which nothing is known."""
    headers = [name for name in (rows[0] if rows else {})
               if any(row[name] not in ("", _NONE) for row in rows)]  # fmt: skip
    kinds = "".join("r" if name.startswith("#") else "l" for name in headers)
    body = [_line(row[name] for name in headers) for row in rows]
    return "\n".join([
        rf"\begin{{tabular}}{{{kinds}}}", r"\toprule",
        _line(name.removeprefix("#") for name in headers),
        r"\midrule", *body, r"\bottomrule", r"\end{tabular}", "",
    ]).encode()  # fmt: skip


def _line(cells: Iterable[str]) -> str:
    return " & ".join(_escaped(cell) for cell in cells) + r" \\"


def _escaped(text: str) -> str:
    found = _SIGN.sub(lambda sign: _SIGNS[sign[0]], text)
    # After the end of a row, LaTeX would take brackets for a length and a star for an option.
    return f"{{{found[0]}}}{found[1:]}" if found[:1] in ("[", "*") else found
