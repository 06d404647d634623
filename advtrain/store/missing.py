"""Files that a run wrote and no longer has, and what that means for it. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from advtrain.config.json_file import read_object
from advtrain.store.final_csv import FILE as FINAL
from advtrain.store.metrics import read_records
from advtrain.store.provenance import SAME_IMAGES
from advtrain.store.run_status import Status

_MEND = "restore what is missing, or move the directory away to start afresh"


def missing_files(
    run: Path, status: Status, provenance: Mapping[str, Any] | None = None
) -> list[str]:
    """The files that must have been there when the run got as far as its status says.

    Of a finished run the weights do not count: copies are often made without them. `provenance` is
    what provenance.json holds, if that was read already.
    """
    finished = status.state == "finished"
    expected = ["config.yaml", "metrics.csv", "provenance.json"]
    expected += ["verdict.json", FINAL] if finished else ["last.pt"]
    expected += ["best.pt"] if status.best_epoch and not finished else []
    missing = [name for name in expected if not (run / name).exists()]
    if not missing:
        return []
    if provenance is None:
        provenance = read_object(run / "provenance.json") or {}
    own = status.epoch - _carried(provenance)
    if own <= 0 and not finished:
        return []
    # Older versions had no such file: they measured the last row on all images.
    if FINAL in missing and (status.stopped == "nonfinite" or not provenance.get(SAME_IMAGES)):
        missing.remove(FINAL)
    if own == 1 and "last.pt" in missing and not _finite(run):
        missing.remove("last.pt")  # an epoch that ended as not finite has no weights
    return missing


def _carried(provenance: Mapping[str, Any]) -> int:
    """The epochs that a run counts and its parent trained."""
    parent = provenance.get("parent")
    carried = parent.get("epoch") if isinstance(parent, dict) else 0
    return carried if isinstance(carried, int) else 0


def _finite(run: Path) -> bool:
    """Whether the last epoch's measurements are."""
    records = read_records(run / "metrics.csv")
    return not records or records[-1].finite


def cannot_go_on(run: Path, status: Status | None) -> str:
    """Why `train` cannot take a run up: what is missing and nothing else tells; empty if it can."""
    if status is None:  # lost, or there was no run
        lost = (run / "metrics.csv").exists() and not (run / "last.pt").exists()
        return f"last.pt and status.json are missing beside metrics.csv: {_MEND}" if lost else ""
    needed = ["metrics.csv"] if status.state == "finished" else ["metrics.csv", "last.pt"]
    missing = [name for name in missing_files(run, status) if name in needed]
    if not missing:
        return ""
    names = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    done = "1 epoch is" if status.epoch == 1 else f"{status.epoch} epochs are"
    return f"{names}, though {done} done: {_MEND}"
