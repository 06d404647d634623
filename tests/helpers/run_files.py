"""What lies in a run's directory: its status, its attempts, its figures."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pandas as pd

from advtrain.records import COLUMNS, TIMES
from advtrain.store.run_status import Status


def contents(run: Path) -> dict[str, bytes]:
    """All files of a run that hold something."""
    return {file.name: file.read_bytes() for file in run.iterdir() if file.name != ".lock"}


def state(run: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((run / "status.json").read_text())
    return found


def rewrite(run: Path, **changes: object) -> None:
    """Change fields of status.json, as another process would."""
    (run / "status.json").write_text(json.dumps(state(run) | changes))


def same_training(a: pd.DataFrame, b: pd.DataFrame, prefix: str = "") -> None:
    """Both tables agree exactly in all columns but the times."""
    columns = [c for c in COLUMNS if c not in TIMES and c.startswith(prefix)]
    pd.testing.assert_frame_equal(a[columns], b[columns], check_exact=True)


def attempts(run: str | Path) -> list[str]:
    """The lines of log.txt that say from which epoch an attempt went on."""
    lines = Path(run, "log.txt").read_text().splitlines()
    return [line.partition("attempt ")[2] for line in lines if "attempt " in line]


def only_run(runs: Path) -> Path:
    """The one run below the folder."""
    (run,) = runs.glob("*/*/status.json")
    return run.parent


def made_status(host: str, silent: float, state: str = "running", job: str = "9_1") -> Status:
    """What is found of an attempt that was silent for so many seconds."""
    return Status(state, 2, host, 7, time.time() - silent, job=job, restart=1)
