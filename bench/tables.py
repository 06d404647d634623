"""The tables of docs/performance.md, from bench/results/*.json."""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

from bench.rounds import CALM
from bench.scaling import FIGURE
from bench.workloads import WORKLOADS

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
NAMES = {
    "advtrain": "advtrain",
    "article": "article loop",
    "torchattacks": "torchattacks, images",
    "torchattacks-tensors": "torchattacks, tensors",
    "robustness": "MadryLab robustness",
    "art": "ART",
    "floor": "floor",
}
# How many times as fast as each advtrain is meant to be.
TARGETS = {
    "digits": {"article": 2.5, "torchattacks": 2.0, "torchattacks-tensors": 1.6, "floor": 1.25},
    "fashion7": {"article": 1.8, "torchattacks": 1.25, "torchattacks-tensors": 1.2, "floor": 1.15},
    "fashion40": {"article": 1.8, "torchattacks": 1.25, "torchattacks-tensors": 1.2, "floor": 1.15},
    "cifar": {"article": 3.0, "torchattacks": 1.25, "torchattacks-tensors": 1.2, "floor": 1.1},
}  # fmt: skip

Result = dict[str, Any]


def write(results: Path) -> None:
    """Replace what stands between the page's markers."""
    found = {
        name: json.loads((results / f"{name}.json").read_text())
        for name in WORKLOADS
        if (results / f"{name}.json").exists()
    }
    parts = [_setting(found), *map(_loops, found.values()), _rest(found)] if found else []
    if (fast := results / "fast-settings.json").exists():
        parts.append(_fast(json.loads(fast.read_text())))
    if (results / "scaling.json").exists():
        parts.append(f"![How time grows]({FIGURE.relative_to(PAGE.parent).as_posix()})")
    text = "\n\n".join(parts) or "Not yet measured."
    begin, end = "<!-- bench:begin -->", "<!-- bench:end -->"
    page = re.sub(
        f"{begin}.*{end}", lambda _: f"{begin}\n{text}\n{end}", PAGE.read_text(), flags=re.S
    )
    PAGE.write_text(page)


def ratios(result: Result, name: str) -> list[float]:
    """How many times as fast as a contestant advtrain was, in each round."""
    own = result["contestants"]["advtrain"]["rounds"]
    other = result["contestants"][name]["rounds"]
    return [b["seconds"] / a["seconds"] for a, b in zip(own, other, strict=True)]


def _setting(found: dict[str, Result]) -> str:
    machines = {json.dumps(result["machine"], sort_keys=True) for result in found.values()}
    lines = []
    for text in sorted(machines):
        machine = json.loads(text)
        versions = ", ".join(f"{name} {v}" for name, v in machine["versions"].items())
        lines.append(
            f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, "
            f"{machine['system']}; {versions}."
        )
    return "\n\n".join(lines)


def _loops(result: Result) -> str:
    """One workload: images a second, ratios with their spread, memory."""
    w, rounds = result["workload"], result["contestants"]["advtrain"]["rounds"]
    images = w["epochs"] * w["batches"] * w["batch"]
    rows = []
    for name, title in NAMES.items():
        contestant = result["contestants"][name]
        if contestant.get("error"):
            rows.append([title, f"does not run: {contestant['error']}", "", "", ""])
            continue
        seconds = [r["seconds"] for r in contestant["rounds"]]
        memory = max(r["memory"] for r in contestant["rounds"])
        speed = f"{images / statistics.median(seconds):,.1f}"
        ratio, target = "", TARGETS[w["name"]].get(name)
        if name != "advtrain":
            each = ratios(result, name)
            ratio = f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"
        met = "" if target is None else f"{target:g}"
        if target is not None and ratio:
            met += ", met" if statistics.median(ratios(result, name)) >= target else ", missed"
        rows.append([title, speed, ratio, met, f"{memory:,.0f}"])
    restless = sum(
        r["neighbours"] > CALM
        for name in NAMES
        for r in result["contestants"][name].get("rounds", [])
    )
    count = (
        f"{w['batches'] * w['epochs']} {'batch' if w['batches'] * w['epochs'] == 1 else 'batches'}"
    )
    calm = "all calm" if not restless else f"{restless} measurements beside other load"
    peak = result["flops_per_image"] * images / statistics.median(
        r["seconds"] for r in result["contestants"]["floor"]["rounds"]
    ) / result["matmul_peak"]  # fmt: skip
    text = (
        f"**{w['model']}, {w['images']}, PGD-{w['steps']}, batch {w['batch']}, "
        f"{w['threads']} {'thread' if w['threads'] == 1 else 'threads'}**: {len(rounds)} rounds "
        f"of {count}, {calm}. The floor makes {result['flops_per_image'] / 1e6:,.0f} million "
        f"operations an image, at {peak:.0%} of the {result['matmul_peak'] / 1e9:,.0f} GFLOP/s of "
        "a matrix product."
    )
    header = ["", "images/s", "advtrain is times as fast", "target", "peak MiB"]
    return f"{text}\n\n{_table(header, rows)}"


def _rest(found: dict[str, Result]) -> str:
    """What surrounds the loop, and what an evaluation costs."""
    rows = []
    for result in found.values():
        w, contestants = result["workload"], result["contestants"]
        own = contestants["advtrain"]["rounds"]
        images = w["epochs"] * w["batches"] * w["batch"]
        column = statistics.median(r["own"] * r["seconds"] / images for r in own)
        passed = statistics.median(r["seconds"] for r in own) / images / (w["steps"] + 1)
        measured = statistics.median(r["seconds"] for r in contestants["evaluation"]["rounds"])
        share = inside = ""
        if "surroundings" in contestants:
            (around,) = contestants["surroundings"]["rounds"]
            share = f"{around['around'] / around['training']:.1%}"
        if "loop-alone" in contestants:
            alone = ratios(result, "loop-alone")
            inside = f"{1 - statistics.median(alone):.1%}"
        rows.append([
            f"{w['model']}, PGD-{w['steps']}", share, inside,
            f"{measured / passed:.2f}", f"{column:.3f}",
        ])  # fmt: skip
    header = [
        "", "around the loop, of an epoch of 60,000", "inside it",
        "evaluation / training, an image and pass", "images_per_second / from outside",
    ]  # fmt: skip
    return _table(header, rows)


def _fast(result: Result) -> str:
    """What the fast settings change."""
    rows = [
        [
            f"`{name}`", f"{r['speed']:,.0f}", f"{r['loss']:.1e}", f"{r['signs']:.3%}",
            f"{statistics.mean(r['robust']):.1%} ± {statistics.stdev(r['robust']):.1%}",
        ]
        for name, r in result["rounds"][0].items()
        if isinstance(r, dict)
    ]  # fmt: skip
    header = [
        "digits demo", "images/s", "change of the loss", "gradient signs flipped",
        "robust accuracy, 3 seeds",
    ]  # fmt: skip
    return _table(header, rows)


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
