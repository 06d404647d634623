"""Draws the README's picture from the demo's run: `make figures`."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from advtrain import load_config
from advtrain.config.identity import identity
from advtrain.console import epoch_table, summary
from advtrain.store.metrics import read_records
from advtrain.store.naming import run_path
from advtrain.store.run import Run

ROOT = Path(__file__).parent.parent


def main() -> None:
    """Write docs/images/demo.svg: the last epochs and the charts, as the terminal shows them."""
    config = load_config(ROOT / "configs" / "digits.yaml")
    run = Run(run_path(Path("runs"), config, identity(config)))
    console = Console(record=True, width=84, file=io.StringIO(), force_terminal=True)
    console.print("$ advtrain train configs/digits.yaml")
    console.print(epoch_table(read_records(run.dir / "metrics.csv")[-6:], str(run.dir)))
    console.print()
    summary(run, console)
    svg = console.export_svg(title="advtrain", unique_id="demo")
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.S)  # a picture asks no server for fonts
    target = ROOT / "docs" / "images" / "demo.svg"
    target.parent.mkdir(exist_ok=True)
    target.write_text(svg)


if __name__ == "__main__":
    main()
