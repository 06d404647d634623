"""The verdict: four axes, whether it converged, why, and what to change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from advtrain.diagnosis import rules
from advtrain.diagnosis.headline import headline
from advtrain.diagnosis.held_out import held_out_axis, level_axis
from advtrain.diagnosis.inner import inner_axis
from advtrain.diagnosis.segments import Phases, phases
from advtrain.diagnosis.suggestion import Suggestion, suggest
from advtrain.diagnosis.table import Axis, Table
from advtrain.diagnosis.training import train_axis

AXES = ("inner", "train", "held_out", "level")


@dataclass(frozen=True)
class Verdict:
    """An answer that can be defended: `converged` is None for "not yet" and "cannot tell"."""

    converged: bool | None
    cause: str  # the state that decided
    headline: str
    suggestion: Suggestion | None
    axes: dict[str, Axis]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object of verdict.json, but for the path."""
        return {
            "rules": rules.VERSION,
            "headline": self.headline,
            "converged": self.converged,
            "cause": self.cause,
            "suggestion": self.suggestion.to_json() if self.suggestion else None,
            "axes": {name: axis.to_json() for name, axis in self.axes.items()},
            "notes": list(self.notes),
        }


def diagnose(table: Table, run: str = "RUN") -> Verdict:
    """The verdict on a table of at least one epoch; `run` names its directory in suggestions."""
    phase = phases(table)
    axes = {
        "inner": inner_axis(table),
        "train": train_axis(table, phase),
        "held_out": held_out_axis(table, phase),
        "level": level_axis(table),
    }
    converged, cause = _decide(axes, phase)
    return Verdict(
        converged,
        cause,
        headline(converged, cause, axes, phase, table),
        suggest(cause, axes, phase, table, run),
        axes,
        table.notes,
    )


def unjudged(reason: str) -> Verdict:
    """No verdict, and why: of a run without an epoch, or with a file that cannot be read."""
    axes = {name: Axis("not_measured", reason) for name in AXES}
    return Verdict(None, "unjudged", f"cannot tell: {reason}", None, axes)


def _decide(axes: dict[str, Axis], phase: Phases) -> tuple[bool | None, str]:
    """Whether it converged, and the state that says so."""
    inner, train, held_out, level = (axes[name].state for name in AXES)
    # The order is that of telling: what happened first explains what followed.
    failed = [
        ("nonfinite", train), ("catastrophic_overfitting", held_out), ("collapsed", held_out),
        ("stuck", train), ("diverged", train), ("broken", inner),
    ]  # fmt: skip
    for state, found in failed:
        if state == found:
            return False, state
    if train in ("too_short", "not_measured"):
        return None, train
    if level == "not_measured" and axes["level"].epochs is None:
        return None, "no_held_out"
    if level != "above_chance":
        return None, {"at_chance": level, "unresolved": "level_unresolved"}.get(
            level, "chance_unknown"
        )
    flat = train == "flat" and not phase.smooth  # lr that still moves has not let it rest
    rested = flat or (phase.exhausted and train != "rising")
    if phase.pending is not None:
        return None, "descending" if train == "descending" else "drop_pending"
    if held_out == "robust_overfitting":
        return (True if rested else None), held_out
    if held_out == "worsening":  # whatever training does: more of it is no remedy
        return None, held_out
    departing = axes["train"].numbers.get("departs") or 0
    if departing > 0 or (departing and not phase.exhausted):
        return None, "departs"
    if not rested:
        return None, {"unresolved": "train_unresolved", "flat": "lr_moves"}.get(train, train)
    if held_out == "settled":
        return True, held_out
    if "departs" in axes["held_out"].numbers:
        return None, "departs"
    if held_out == "unresolved":
        return (True, "within_band") if _within_band(axes["held_out"]) else (None, "unresolved")
    return None, "no_held_out" if held_out == "not_measured" else held_out


def _within_band(held_out: Axis) -> bool:
    """Whether accuracy, though unresolved, surely changed by less than matters in practice."""
    low, high = held_out.numbers.get("low"), held_out.numbers.get("high")
    if not (isinstance(low, float) and isinstance(high, float)):
        return False  # accuracy was not measured, or too seldom
    return max(-low, high) <= rules.BAND
