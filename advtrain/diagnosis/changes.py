"""What a remedy is made of: changes, each with its words, its reason and its overrides."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from advtrain.diagnosis.case import Case


@dataclass(frozen=True)
class Change:
    """One thing to do: what, why, and the overrides that do it, if it can be typed.

    `what` says in words every key that the overrides change.
    """

    what: str
    why: str = ""
    overrides: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What and why."""
        return f"{self.what}, {self.why}" if self.why else self.what


@dataclass(frozen=True)
class Remedy:
    """What to change, and where it begins: as the run did, at its end, or without its parent."""

    changes: list[Change]
    begins: Literal["as it did", "at its end", "afresh"] = "as it did"


def learning_rate(case: Case, lr: float, why: str) -> Change:
    """Another peak learning rate, to two digits."""
    old, new = case.lr, short(lr)
    verb = "raise" if old is not None and lr > old else "lower"
    since = "" if old is None else f" from {old:g}"
    return Change(f"{verb} the learning rate{since} to {new}", why, (f"lr={new}",))


def epochs(case: Case, number: int, why: str) -> list[Change]:
    """Another number of epochs; nothing where it is the same."""
    if number == case.epochs:
        return []
    what = f"train {number} epochs instead of {case.epochs}"
    return [Change(what, why, (f"epochs={number}",))]


def to_the_end(case: Case, why: str = "so that the run reaches its last epochs") -> list[Change]:
    """What keeps early stopping from ending the run before them."""
    if case.config is None or not case.config.training.early_stopping:
        return []
    return [Change("turn early stopping off", why, ("early_stopping=null",))]


def exact(value: object) -> str:
    """A value as YAML: `30` for 30.0, `null` for None."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return "null" if value is None else str(value)


def short(value: float) -> str:
    """Two significant digits: `0.017`, not `0.016666666666666666`."""
    return f"{float(f'{value:.2g}'):g}" if math.isfinite(value) else str(value)
