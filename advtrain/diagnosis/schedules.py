"""What a remedy may look at, and the epochs and schedules that it may suggest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from advtrain.config.optimization import Piecewise
from advtrain.config.schema import Config
from advtrain.diagnosis import rules
from advtrain.diagnosis.segments import Phases
from advtrain.diagnosis.table import Axis, Table

LEAST_EPOCHS = 40  # with drops of lr at 1/2 and 3/4, ten epochs for the last lr


@dataclass(frozen=True)
class Case:
    """What a remedy may look at."""

    axes: dict[str, Axis]
    phase: Phases
    table: Table

    @property
    def config(self) -> Config | None:
        """That of one's own run."""
        return self.table.config

    @property
    def done(self) -> int:
        """Epochs that the run has."""
        return self.counted(int(self.table.epoch[-1]))

    @property
    def epochs(self) -> int:
        """Epochs that the run was to have; of someone else's, those that it has."""
        return self.config.training.epochs if self.config else self.done

    def counted(self, epoch: int) -> int:
        """Epochs done by the end of this one: some CSVs count from 0."""
        return epoch + max(0, 1 - int(self.table.epoch[0]))

    @property
    def lr(self) -> float | None:
        """The peak learning rate."""
        if self.config:
            return self.config.optimizer.lr
        return self.highest_lr

    @property
    def usual_lr(self) -> float | None:
        """The default of this optimizer."""
        return float(type(self.config.optimizer)().lr) if self.config else None

    @property
    def highest_lr(self) -> float | None:
        """The highest in the curves, those of the runs that this one goes on from among them."""
        known = self._known_lr
        return float(known.max()) if len(known) else None

    @property
    def last_lr(self) -> float | None:
        """That of the last epoch with a known one."""
        known = self._known_lr
        return float(known[-1]) if len(known) else None

    @property
    def _known_lr(self) -> np.ndarray:
        lr = self.table.get("lr")
        return lr[np.isfinite(lr) & (lr > 0)]

    @property
    def eps_warmup(self) -> float:
        """Epochs over which eps is configured to rise."""
        return self.config.schedule.eps_warmup if self.config else 0.0

    @property
    def warmup(self) -> float:
        """Epochs over which lr is configured to rise."""
        return self.config.schedule.warmup if self.config else 0.0

    @property
    def warm(self) -> int:
        """Epochs after which lr and eps have reached their full size."""
        settled = self.config.eps_settled if self.config else 0.0
        return math.ceil(max(self.warmup, settled))

    @property
    def attacked(self) -> bool:
        """Whether the training has an adversary that may do something."""
        idle = self.config is not None and self.config.attack.eps == 0
        return not idle and not self.table.clean_training


def piecewise(case: Case, milestones: list[int] | list[float], **changes: float) -> str:
    """A whole schedule; `changes` to its warm-ups, which stay otherwise.

    A section of the name that it had merges, so that whatever is not written here would stay.
    """
    warm: dict[str, object] = {"warmup": case.warmup, "eps_warmup": case.eps_warmup, **changes}
    for name in ("eps_points", "alpha_points"):  # fractions of the horizon, whichever it is
        if case.config and (points := getattr(case.config.schedule, name)):
            warm[name] = points
    drops = ", ".join(f"{m:g}" if m < 1 else str(m) for m in milestones)
    keys = ", ".join(f"{key}: {exact(value)}" for key, value in warm.items())
    return f"schedule={{name: piecewise, milestones: [{drops}], gamma: 0.1, {keys}, horizon: null}}"


def plan(
    case: Case, epochs: int, *, eps_warmup: float | None = None, afresh: bool = False
) -> list[str]:
    """Overrides for a run of so many epochs, or more, that ends at a low lr and at full eps.

    A schedule that does so keeps its shape: absolute milestones and the horizon grow with the
    epochs. Another one, and a constant lr, makes room for drops of lr. `afresh`: without the
    epochs of the run that this one goes on from.
    """
    eps = case.eps_warmup if eps_warmup is None else eps_warmup
    begin = 0 if afresh else case.table.carried
    if case.phase.constant:
        kept = None
    elif case.config is None:
        kept = _changed(case, epochs=epochs, eps_warmup=eps)
    elif case.phase.smooth:
        kept = _smooth(case, epochs, eps, begin)
    else:
        kept = _stretched(case, epochs, eps, begin)
    overrides = _drops(case, epochs, eps, begin) if kept is None else kept
    return [*overrides, *to_the_end(case)] if overrides else []


def to_the_end(case: Case) -> list[str]:
    """The override without which early stopping would end the run before its last epochs."""
    stops = case.config is not None and case.config.training.early_stopping
    return ["early_stopping=null"] if stops else []


def _drops(case: Case, epochs: int, eps: float, begin: int) -> list[str]:
    """Lr drops at 1/2 and 3/4 of what is to be trained, when eps has reached its full size."""
    epochs = max(epochs, begin + LEAST_EPOCHS, 2 * math.ceil(eps) - begin)
    own = epochs - begin
    first = begin + (own + 1) // 2
    milestones = [first, begin + 3 * own // 4] if begin else [0.5, 0.75]
    warmup = case.warmup if case.warmup <= epochs - own / 2 else 0.0
    schedule = piecewise(case, milestones, warmup=warmup, eps_warmup=eps)
    return [*_changed(case, epochs=epochs), schedule]


def _stretched(case: Case, epochs: int, eps: float, begin: int) -> list[str] | None:
    """The configured drops over so many epochs; None where they come too early or too late."""
    assert case.config is not None and isinstance(case.config.schedule, Piecewise)
    schedule, factor = case.config.schedule, epochs / case.epochs
    milestones = [m if m < 1 else round(m * factor) for m in schedule.milestones]
    horizon = round(schedule.horizon * factor) if schedule.horizon else None
    span = horizon or epochs
    drops = [d for d in (m * span if m < 1 else m for m in milestones) if d < epochs]
    warm = max(eps, schedule.warmup)
    if begin or not drops or drops[0] < warm or span < warm:
        return None
    if epochs - drops[-1] < rules.SHORTEST_SINCE_JUMP:
        return None
    return _changed(case, epochs=epochs, milestones=milestones, eps_warmup=eps, horizon=horizon)


def _smooth(case: Case, epochs: int, eps: float, begin: int) -> list[str]:
    """A smooth schedule over so many epochs, half of them at least with eps at its full size."""
    assert case.config is not None
    schedule, factor = case.config.schedule, epochs / case.epochs
    epochs = max(epochs, 2 * math.ceil(eps))
    warmup = schedule.warmup if 2 * schedule.warmup <= epochs else 0.0
    horizon = min(round(schedule.horizon * factor), epochs) if schedule.horizon else None
    if begin or (horizon and 2 * max(eps, warmup) > horizon):
        horizon = None
    return _changed(case, epochs=epochs, warmup=warmup, eps_warmup=eps, horizon=horizon)


def _changed(case: Case, **values: object) -> list[str]:
    """Overrides for those of the keys that have another value now."""
    config = case.config
    now = vars(config.schedule) if config else {"eps_warmup": 0.0}
    now = now | {"epochs": case.epochs}
    return [f"{key}={exact(value)}" for key, value in values.items() if value != now[key]]


def exact(value: object) -> str:
    """A value as YAML: `30` for 30.0, `null` for None."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return "null" if value is None else str(value)


def short(value: float) -> str:
    """Two significant digits: `0.017`, not `0.016666666666666666`."""
    return f"{float(f'{value:.2g}'):g}" if math.isfinite(value) else str(value)
