"""What to change so that it converges: one suggestion for each cause, as overrides to type."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np

from advtrain.config.optimization import Constant
from advtrain.config.schema import Config
from advtrain.diagnosis.segments import Phases
from advtrain.diagnosis.table import Axis, Table

_CALMER = 10  # by how much lr falls after a divergence
_LEAST_EPOCHS = 40  # with the default drops at 1/2 and 3/4, ten epochs for the last lr
_COOLING = 20  # epochs of low lr after the best one: enough to see that it rests
_STEPS = 10  # of the attack with which Madry et al. and Rice et al. train


@dataclass(frozen=True)
class Suggestion:
    """What to do, in words, as overrides, and as the whole command where the run is one's own."""

    text: str
    overrides: tuple[str, ...] = ()
    command: str | None = None

    def to_json(self) -> dict[str, object]:
        """The suggestion as verdict.json has it."""
        return {"text": self.text, "overrides": list(self.overrides), "command": self.command}


@dataclass(frozen=True)
class _Case:
    """What a remedy may look at."""

    axes: dict[str, Axis]
    phase: Phases
    table: Table

    @property
    def config(self) -> Config | None:
        return self.table.config

    @property
    def epochs(self) -> int:
        """Epochs that the run has, or was to have."""
        return self.config.training.epochs if self.config else len(self.table)

    @property
    def done(self) -> int:
        return int(self.table.epoch[-1])

    @property
    def lr(self) -> float | None:
        """The peak learning rate."""
        if self.config:
            return self.config.optimizer.lr
        known = self.table.get("lr")
        return float(np.nanmax(known)) if np.isfinite(known).any() else None

    @property
    def usual_lr(self) -> float | None:
        """The default of this optimizer."""
        return float(type(self.config.optimizer)().lr) if self.config else None

    @property
    def constant(self) -> bool:
        return isinstance(self.config.schedule, Constant) if self.config else self.phase.constant


Remedy = tuple[str, list[str], bool]  # in words, as overrides, whether with --from


def suggest(
    cause: str, axes: dict[str, Axis], phase: Phases, table: Table, run: str
) -> Suggestion | None:
    """The remedy for what decided the verdict, or None where there is nothing to mend."""
    case = _Case(axes, phase, table)
    if cause in ("settled", "within_band") and axes["inner"].state == "weak":
        cause = "weak"
    if not table.finished and cause in _WAIT:
        return None
    remedy = _REMEDIES.get(cause)
    found = remedy(case) if remedy else None
    if found is None:
        return None
    text, overrides, go_on = found
    command = None
    if table.config is not None and overrides:
        words = ["advtrain", "train", f"{run}/config.yaml", *overrides]
        words += ["--from", run] if go_on else []
        runs_dir = str(PurePath(run).parent.parent)
        words += ["--runs-dir", runs_dir] if runs_dir != "runs" else []
        command = shlex.join(words)
    return Suggestion(text, tuple(overrides), command)


def _lower_lr(case: _Case) -> Remedy:
    overrides = ["clip_norm=1"]
    if case.lr is not None:
        lr = case.lr / _CALMER
        overrides.insert(0, f"lr={_short(min(lr, case.usual_lr) if case.usual_lr else lr)}")
    if case.constant or _warmed(case):
        overrides.append(_settling(case))
    return "lower the learning rate and clip the gradient", overrides, False


def _warmed(case: _Case) -> bool:
    """Whether lr rises over most of the run."""
    return case.config is not None and case.config.schedule.warmup > case.epochs / 2


def _settling(case: _Case) -> str:
    """Drops of lr, after which a noisy loss comes to rest; a warm-up of eps stays."""
    warmup = case.config.schedule.eps_warmup if case.config else 0
    if warmup:
        return f"schedule={{name: piecewise, eps_warmup: {_short(warmup)}}}"
    return "schedule=piecewise"


def _free(case: _Case) -> Remedy:
    """Out of the plateau at chance, where a constant guess is a stationary point."""
    lr, usual = case.lr, case.usual_lr
    if lr is not None and usual is not None and lr > 4 * usual:
        return "lower the learning rate", [f"lr={_short(usual)}", *_settle(case)], False
    overrides = []
    warmup = case.config.schedule.eps_warmup if case.config else 0
    if lr is not None and usual is not None and lr < usual / 4:
        overrides.append(f"lr={_short(usual)}")
    if case.constant:  # first, since it replaces the section that eps_warmup stands in
        overrides.append("schedule=piecewise")
    if warmup >= case.epochs / 4:
        overrides += [f"epochs={2 * case.epochs}", f"eps_warmup={case.epochs}"]
        return "let eps rise over more epochs", overrides, False
    overrides.append(f"eps_warmup={max(1, case.epochs // 2)}")
    if case.config and case.config.schedule.horizon and not case.constant:
        overrides.append(f"horizon={case.epochs}")
    return "let eps rise from 0 over the first half", overrides, False


def _settle(case: _Case) -> list[str]:
    return [_settling(case)] if case.constant else []


def _calm(case: _Case) -> Remedy:
    if case.constant:
        return "let the learning rate drop", [_settling(case)], False
    if case.lr is None:
        return "lower the learning rate", [], False
    return "lower the learning rate", [f"lr={_short(case.lr / 3)}"], False


def _stronger_attack(case: _Case) -> Remedy:
    attack = case.config.attack if case.config else None
    steps = max(_STEPS, 2 * attack.steps if attack and attack.steps > 1 else 0)
    overrides = [f"steps={steps}"]
    if attack is None or attack.start != "uniform":
        overrides.append("start=uniform")
    if attack is None or attack.alpha != "2.5*eps/steps":
        overrides.append("alpha=2.5*eps/steps")
    if case.config and case.config.evaluation.steps < 2 * steps:
        overrides.append(f"evaluation.steps={2 * steps}")
    return "give the training attack more steps from a random start", overrides, False


def _multi_step(case: _Case) -> Remedy:
    text, overrides, _ = _stronger_attack(case)
    return text, [*overrides, *_settle(case)], False


def _go_on(case: _Case) -> Remedy:
    """As many epochs again; lr drops in their second half, so that the loss comes to rest."""
    more = max(case.done, _LEAST_EPOCHS // 2)
    end = case.done + more
    drops = f"[{case.done + more // 2}, {case.done + more * 3 // 4}]"
    schedule = f"schedule={{name: piecewise, milestones: {drops}, gamma: 0.1}}"
    return (
        "go on for more epochs, then let the learning rate drop",
        [f"epochs={end}", schedule],
        True,
    )


def _more_epochs(case: _Case) -> Remedy:
    if case.phase.exhausted:
        text = "the learning rate is spent: a longer schedule from the start"
        return text, [f"epochs={2 * case.epochs}"], False
    return _go_on(case)


def _long_enough(case: _Case) -> Remedy:
    if case.done >= _LEAST_EPOCHS:
        return "go on for more epochs", [f"epochs={case.done + _LEAST_EPOCHS // 2}"], True
    text = "train for more epochs"
    return text, [f"epochs={max(_LEAST_EPOCHS, 4 * case.done)}", *_settle(case)], False


def _regularise(case: _Case) -> Remedy:
    overrides = [f"weight_decay={_short(10 * decay)}"] if (decay := _decay(case)) else []
    return "regularise more", [*overrides, *_settle(case)], False


def _decay(case: _Case) -> float | None:
    """Weight decay, at least the default of SGD; None if that is not known."""
    return max(case.config.optimizer.weight_decay, 5e-4) if case.config else None


def _stop_at_best(case: _Case) -> Remedy:
    """Let lr drop at the best epoch and end soon after it, before the decline."""
    best = int(str(case.axes["held_out"].numbers["best_epoch"]))
    drops = f"[{best}, {best + _COOLING // 2}]"
    schedule = f"schedule={{name: piecewise, milestones: {drops}, gamma: 0.1}}"
    text = f"let the learning rate drop at the best epoch ({best}) and stop soon after it"
    return (
        f"{text}; best.pt has the best on validation",
        [
            f"epochs={best + _COOLING}",
            schedule,
        ],
        False,
    )


def _more_images(case: _Case) -> Remedy:
    needed = case.axes["level"].numbers.get("images_needed")
    text = f"evaluate on about {needed} images, or train more seeds"
    return text, [f"evaluation.size={needed}"], False


def _classes(case: _Case) -> Remedy:
    return "say how many classes there are: --classes K", [], False


# Of a run that has epochs to come these ask for nothing but patience.
_WAIT = {"too_short", "descending", "improving", "train_unresolved", "unresolved"}

_REMEDIES: dict[str, Callable[[_Case], Remedy | None]] = {
    "nonfinite": _lower_lr,
    "diverged": _lower_lr,
    "collapsed": _lower_lr,
    "stuck": _free,
    "at_chance": _free,
    "rising": _calm,
    "oscillating": _calm,
    "catastrophic_overfitting": _multi_step,
    "broken": _multi_step,
    "weak": _stronger_attack,
    "too_short": _long_enough,
    "descending": lambda case: None if case.phase.pending else _go_on(case),
    "improving": _more_epochs,
    "train_unresolved": _more_epochs,
    "unresolved": _more_epochs,
    "worsening": _regularise,
    "robust_overfitting": _stop_at_best,
    "level_unresolved": _more_images,
    "chance_unknown": _classes,
}


def _short(value: float) -> str:
    """Two significant digits: `0.017`, not `0.016666666666666666`."""
    return f"{float(f'{value:.2g}'):g}" if math.isfinite(value) else str(value)
