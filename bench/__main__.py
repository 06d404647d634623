"""`python -m bench`: measures; writes bench/results/*.json and docs/performance.md's tables."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bench import scaling, tables
from bench.floor import flops_per_image, matmul_peak
from bench.machine import description
from bench.rounds import interleaved
from bench.workloads import WORKLOADS, Workload, images

RESULTS = Path(__file__).parent / "results"
LOOPS = [
    "advtrain", "article", "torchattacks", "torchattacks-tensors", "robustness", "art", "floor",
]  # fmt: skip


def main() -> None:
    """Measure what was asked for, then write the tables from all results there are."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--only", nargs="*", choices=[*WORKLOADS, "scaling", "fast-settings", "tables"]
    )
    chosen = parser.parse_args()
    wanted = chosen.only or [*WORKLOADS, "scaling", "fast-settings"]
    for workload in WORKLOADS.values():
        if workload.name in wanted:
            _write(workload.name, measure(workload, chosen.rounds))
    if "scaling" in wanted:
        found = interleaved(["scaling"], scaling.BASE, 3)["scaling"]
        _write("scaling", {"machine": description(), **found})
        scaling.draw(found["rounds"])
    if "fast-settings" in wanted:
        found = interleaved(["fast-settings"], WORKLOADS["digits"], 1, tries=1)["fast-settings"]
        _write("fast-settings", {"machine": description(), **found})
    tables.write(RESULTS)


def measure(workload: Workload, rounds: int) -> dict[str, Any]:
    """Everything about a workload, as results/<workload>.json holds it."""
    print(f"{workload.name}: {workload.model}, PGD-{workload.steps}", file=sys.stderr)
    alone = ["loop-alone"] if workload.name == "digits" else []
    slow = workload.evaluated < 1000
    around = interleaved(["evaluation"] if slow else ["evaluation", "surroundings"], workload, 1)
    loops = interleaved(LOOPS + alone, workload, rounds)
    return {
        "machine": description(),
        "workload": vars(workload)
        | {"alpha": workload.alpha, "images": images(workload.dataset, 1)[2]},
        "flops_per_image": flops_per_image(workload),
        "matmul_peak": matmul_peak(workload.threads),
        "contestants": loops | around,
    }


def _write(name: str, content: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
