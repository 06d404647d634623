"""Draws the README's pictures from the demo's run and the digits sweep: `make figures`.

The sweep takes a quarter of an hour on two cores, unless its runs are there already.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from advtrain import load_config
from advtrain.config.identity import identity
from advtrain.store.metrics import read_records
from advtrain.store.naming import run_path
from advtrain.store.reader import Run
from advtrain.terminal.live import epoch_table, summary

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
FIGURES = {"verdicts": "verdicts-0", "accuracy": "accuracy-0", "curves": "eps-0.1-lr-0.05-curves"}


def main() -> None:
    """Write the terminal's picture of the demo, then the report's of the sweep."""
    terminal()
    report()


def terminal() -> None:
    """demo.svg: the last epochs and the charts, as the terminal shows them."""
    config = load_config(ROOT / "configs" / "digits.yaml")
    run = Run(run_path(Path("runs"), config, identity(config)))
    console = Console(record=True, width=84, file=io.StringIO(), force_terminal=True)
    console.print("$ advtrain train configs/digits.yaml")
    console.print(epoch_table(read_records(run.dir / "metrics.csv")[-6:], str(run.dir)))
    console.print()
    summary(run, run.verdict, console)
    svg = console.export_svg(title="advtrain", unique_id="demo")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.S)  # a picture asks no server for fonts
    (IMAGES / "demo.svg").write_text(svg)


def report() -> None:
    """Three figures of the sweep's report: the map by verdict and by accuracy, a cell's curves."""
    cli = [sys.executable, "-m", "advtrain"]
    sweep = [*cli, "sweep", str(ROOT / "configs" / "digits_sweep.yaml"), "--json"]
    done = subprocess.run(sweep, check=True, stdout=subprocess.PIPE)
    table = json.loads(done.stdout)["sweep_csv"]
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([*cli, "report", table, "--out", out], check=True)
        for name, figure in FIGURES.items():
            shutil.copy(Path(out) / "figures" / f"{figure}.svg", IMAGES / f"{name}.svg")


if __name__ == "__main__":
    main()
