"""Runs the studies: does each end in the state it is named after, and do the remedies work?

    python docs/studies.py [NAME ...] [--seeds 1,2,3] [--jobs 2] [--runs-dir runs/studies]

Each config of configs/studies/ is trained on its own seed (0), and on each fresh seed with its
learning rate as it is and moved by 20% either way. Of those that have not converged, the printed
suggestion is followed as typed, and once more if need be. Runs that are there are not repeated.
Draws each study's curves for docs/verdicts.md.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.console import Console

from advtrain import load_config
from advtrain.store.metrics import read_records
from advtrain.terminal.live import charts

ROOT = Path(__file__).parent.parent
STUDIES = sorted((ROOT / "configs" / "studies").glob("*.yaml"))
FACTORS = (1.0, 0.8, 1.2)  # of the learning rate

# On which axis a study's state is, and which states docs/verdicts.md declares its neighbours:
# what a little more or less of the same trouble looks like.
AXIS_AND_NEIGHBOURS = {
    "nonfinite": ("train", {"stuck"}),
    "too_short": ("train", set()),
    "stuck": ("train", set()),
    "diverged": ("train", {"oscillating", "stuck"}),
    "oscillating": ("train", {"stuck", "unresolved"}),
    "descending": ("train", {"unresolved"}),
    "flat": ("train", {"unresolved"}),
    "improving": ("held_out", {"unresolved"}),
    "settled": ("held_out", {"unresolved"}),
    "worsening": ("held_out", {"collapsed", "robust_overfitting"}),
    "robust_overfitting": ("held_out", {"worsening"}),
    "catastrophic_overfitting": ("held_out", {"collapsed"}),
    "collapsed": ("held_out", {"worsening"}),
    "weak": ("inner", set()),
    "broken": ("inner", set()),
}


def main() -> None:
    """Run what was asked for, print expected against found, then what became of the remedies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="studies; all of them unless given")
    parser.add_argument("--seeds", default="1,2,3", help="fresh seeds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/studies"))
    arguments = parser.parse_args()
    studies = [p for p in STUDIES if not arguments.names or p.stem in arguments.names]
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    with ThreadPoolExecutor(arguments.jobs) as pool:

        def train(study: Path, seed: int, factor: float) -> dict[str, Any]:
            lr = load_config(study).optimizer.lr * factor
            return run(study, f"seed={seed}", f"lr={lr:.3g}", "--runs-dir", arguments.runs_dir)

        own = {p: pool.submit(train, p, 0, 1.0) for p in studies}
        fresh = {
            (p, seed, factor): pool.submit(train, p, seed, factor)
            for factor in FACTORS for p in studies for seed in seeds
        }  # fmt: skip
        cures = {
            (p, seed): pool.submit(lambda key: cure(fresh[key].result()), (p, seed, 1.0))
            for p in studies for seed in seeds
        }  # fmt: skip
        for study, future in own.items():
            draw(study, future.result())
        print_found(studies, own, fresh)
        print_cures(studies, seeds, cures)


def run(*words: object) -> dict[str, Any]:
    """Today's verdict on what `advtrain train` makes, run as a user would type it."""
    trained = advtrain("train", *words, "--quiet")
    verdict: dict[str, Any] = advtrain("diagnose", trained["run_dir"])["results"][0]
    return verdict


def advtrain(*words: object) -> dict[str, Any]:
    """What a command prints with --json."""
    command = [sys.executable, "-m", "advtrain", *map(str, words), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          env=os.environ | {"OMP_NUM_THREADS": "1"})  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)}: {done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def cure(verdict: dict[str, Any], times: int = 2) -> list[dict[str, Any]]:
    """The verdicts from this one on, each after following the suggestion of the one before."""
    verdicts = [verdict]
    while verdict["converged"] is not True and len(verdicts) <= times:
        if not (verdict["suggestion"] or {}).get("command"):
            break
        verdict = run(*shlex.split(verdict["suggestion"]["command"])[2:])
        verdicts.append(verdict)
    return verdicts


def draw(study: Path, verdict: dict[str, Any]) -> None:
    """The robust loss and accuracy of a study as docs/images/states/NAME.svg."""
    records = [r for r in read_records(Path(verdict["path"]) / "metrics.csv") if r.finite]
    if not records:
        return
    console = Console(record=True, width=82, file=io.StringIO(), force_terminal=True)
    console.print(charts(records, console))
    console.print(verdict["headline"], highlight=False)
    svg = console.export_svg(title=f"configs/studies/{study.name}", unique_id=study.stem)
    target = ROOT / "docs" / "images" / "states" / f"{study.stem}.svg"
    target.parent.mkdir(exist_ok=True)
    target.write_text(re.sub(r"@font-face \{.*?\}", "", svg, flags=re.S))


def state_of(study: Path, verdict: dict[str, Any]) -> str:
    """The state on the axis that the study is about."""
    axis, _ = AXIS_AND_NEIGHBOURS[study.stem]
    return str(verdict["axes"][axis]["state"])


def print_found(studies: list[Path], own: dict, fresh: dict) -> None:
    """Expected against found, for the own seed and the others."""
    print(f"{'study':26} {'own seed':26} fresh seeds, lr x 1, .8 and 1.2")
    named = near = 0
    for study in studies:
        _, neighbours = AXIS_AND_NEIGHBOURS[study.stem]
        found = Counter(state_of(study, f.result()) for (p, *_), f in fresh.items() if p == study)
        named += found[study.stem]
        near += sum(found[state] for state in neighbours)
        shown = ", ".join(f"{count} {state}" for state, count in found.most_common())
        print(f"{study.stem:26} {state_of(study, own[study].result()):26} {shown}")
    count = len(fresh)
    print(f"as named: {named} of {count} ({named / count:.0%}), in a neighbouring state: {near}; "
          f"together {(named + near) / count:.0%}")  # fmt: skip


def print_cures(studies: list[Path], seeds: list[int], cures: dict) -> None:
    """What following the suggestions made of those that had not converged."""
    print(f"\n{'study':26} {'seed':>4}  causes, after each suggestion followed")
    once = twice = count = 0
    for study in studies:
        for seed in seeds:
            verdicts = cures[study, seed].result()
            if verdicts[0]["converged"] is True:
                continue
            count += 1
            once += any(v["converged"] is True for v in verdicts[:2])
            twice += any(v["converged"] is True for v in verdicts)
            said = " -> ".join(v["cause"] + ("*" if v["converged"] else "") for v in verdicts)
            print(f"{study.stem:26} {seed:4}  {said}")
    if count:
        print(f"converged (*) after one suggestion: {once} of {count} ({once / count:.0%}), "
              f"after two: {twice} ({twice / count:.0%})")  # fmt: skip


if __name__ == "__main__":
    main()
