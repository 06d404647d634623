"""The numbers of one run: its curves, its verdict, how it was made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from advtrain.diagnosis.segments import phases
from advtrain.report.input.gather import Entry
from advtrain.report.input.labels import plain
from advtrain.report.numbers import outcome
from advtrain.report.numbers.over_seeds import best_epoch, oracle
from advtrain.report.numbers.strengths import told

# What the figures draw over the epochs.
CURVES = (
    *(f"{split}_{kind}_{what}" for split in ("train", "val", "test")
      for kind in ("clean", "robust") for what in ("loss", "acc")),
    "lr", "eps", "test_fgsm_acc", "test_robust_loss_2x", "fosc_train", "fosc_test",
    "probe_clean_loss", "probe_robust_loss", "probe_robust_loss_2x", "grad_norm", "weight_norm",
)  # fmt: skip


def run_numbers(entry: Entry) -> dict[str, Any]:
    """An element of a cell's `runs`."""
    table = entry.result.table
    starts = phases(table).starts if table is not None and len(table) else ()
    peak = oracle(entry, "test_robust_acc")
    sessions = [s for s in _list(entry.provenance.get("sessions")) if isinstance(s, dict)]
    return {
        "path": str(entry.path),
        "seed": entry.seed,
        "state": entry.state,
        "outcome": outcome.of_entry(entry),
        "error": plain(entry.error),
        "epochs": len(table) if table is not None else 0,
        "best_epoch": best_epoch(entry),
        "oracle_epoch": peak[0] if peak else None,
        "segments": [int(table.epoch[row]) for row in starts] if table is not None else [],
        "verdict": entry.result.verdict.to_json(),
        "evaluations": [told(one) for one in entry.evaluations],
        "curves": {name: finite(entry.columns[name]) for name in CURVES if name in entry.columns},
        "epoch": table.epoch.tolist() if table is not None else [],
        "seconds": sum(s["seconds"] for s in sessions if _number(s.get("seconds"))) or None,
        "sessions": [_session(s) for s in sessions],
        "dataset_checksum": entry.provenance.get("dataset_checksum"),
        "parent": table.parent if table is not None else None,
    }


def _session(session: Mapping[str, Any]) -> dict[str, Any]:
    """What the page tells of a process that worked on a run; the commit, not the whole diff."""
    git = session.get("git") if isinstance(session.get("git"), dict) else {}
    known = ("began", "host", "device", "device_name", "threads", "precision", "versions", "argv")
    found = {name: session.get(name) for name in known}
    return found | {"commit": (git or {}).get("commit"), "dirty": bool((git or {}).get("diff"))}


def finite(values: Sequence[float] | np.ndarray[Any, Any]) -> list[float | None]:
    """Numbers as JSON can have them: None for what is not finite."""
    return [float(v) if math.isfinite(v) else None for v in values]


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
