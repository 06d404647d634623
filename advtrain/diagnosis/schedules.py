"""The epochs and schedules that a remedy may suggest."""

from __future__ import annotations

import math
from collections.abc import Sequence

from advtrain.config.optimization import Piecewise
from advtrain.diagnosis import rules
from advtrain.diagnosis.case import Case
from advtrain.diagnosis.changes import Change, epochs, exact, to_the_end

LEAST_EPOCHS = 40  # with drops of lr at 1/2 and 3/4, ten epochs for the last lr
_ROOM = "so that each learning rate gets ten epochs or more"
_REST = "so that the loss comes to rest"


def piecewise(
    case: Case, drops: Sequence[float], end: int, why: str = _REST, **changes: float
) -> Change:
    """A whole schedule with tenfold drops of lr after some epochs, or fractions of `end` epochs.

    `changes` to its warm-ups, which stay otherwise. A section of the name that it had merges, so
    that whatever is not written here would stay.
    """
    warm: dict[str, object] = {"warmup": case.warmup, "eps_warmup": case.eps_warmup, **changes}
    for name in ("eps_points", "alpha_points"):  # fractions of the horizon, whichever it is
        if case.config and (points := getattr(case.config.schedule, name)):
            warm[name] = points
    typed = ", ".join(f"{m:g}" if m < 1 else str(m) for m in drops)
    keys = ", ".join(f"{key}: {exact(value)}" for key, value in warm.items())
    value = f"{{name: piecewise, milestones: [{typed}], gamma: 0.1, {keys}, horizon: null}}"
    after = " and ".join(str(math.ceil(m * end) if m < 1 else m) for m in drops)
    what = f"the learning rate drop tenfold after epochs {after}{_in_place_of(case)}"
    if warm["eps_warmup"] != case.eps_warmup:
        what = f"{_rise(case, changes['eps_warmup'])} and {what}"
    if warm["warmup"] != case.warmup:
        what += ", without its warm-up"
    return Change(f"let {what}", why, (f"schedule={value}",))


def _in_place_of(case: Case) -> str:
    """What else ends with the schedule that a new one replaces."""
    if case.config is None:
        return ""
    schedule = case.config.schedule
    span = f" over {schedule.horizon} epochs" if schedule.horizon else ""
    if case.phase.smooth:
        return f", in place of the {schedule.name} schedule{span}"
    return f", in place of a schedule{span}" if span else ""


def _rise(case: Case, over: float) -> str:
    instead = f" instead of {case.eps_warmup:g}" if case.eps_warmup else ""
    return f"eps rise from 0 over the first {over:g} epochs{instead}"


def plan(
    case: Case, number: int, why: str = _ROOM, *, eps_warmup: float | None = None,
    eps_why: str = "", afresh: bool = False,
) -> list[Change]:  # fmt: skip
    """Changes to a run of so many epochs, or more, that ends at a low lr and at full eps.

    A schedule that does so keeps its shape: absolute milestones and the horizon grow with the
    epochs. Another one, and a constant lr, makes room for drops of lr. `why` is the reason for the
    epochs, `eps_why` that for another `eps_warmup`. `afresh`: without the epochs of the run that
    this one goes on from.
    """
    eps = case.eps_warmup if eps_warmup is None else eps_warmup
    begin = 0 if afresh else case.table.carried
    if case.phase.constant:
        kept = None
    elif case.config is None:
        kept = [*_eps(case, eps, eps_why), *epochs(case, number, why)]
    elif case.phase.smooth:
        kept = _smooth(case, number, why, eps, eps_why, begin)
    else:
        kept = _stretched(case, number, why, eps, eps_why, begin)
    changes = _drops(case, number, why, eps, eps_why, begin) if kept is None else kept
    return [*changes, *to_the_end(case)] if changes else []


def _eps(case: Case, over: float, why: str) -> list[Change]:
    if over == case.eps_warmup:
        return []
    return [Change(f"let {_rise(case, over)}", why, (f"eps_warmup={exact(over)}",))]


def _drops(case: Case, number: int, why: str, eps: float, eps_why: str, begin: int) -> list[Change]:
    """Lr drops at 1/2 and 3/4 of what is to be trained, when eps has reached its full size."""
    number = max(number, begin + LEAST_EPOCHS, 2 * math.ceil(eps) - begin)
    own = number - begin
    first = begin + (own + 1) // 2
    milestones = [first, begin + 3 * own // 4] if begin else [0.5, 0.75]
    warmup = case.warmup if case.warmup <= number - own / 2 else 0.0
    reason = eps_why if eps != case.eps_warmup else _REST
    schedule = piecewise(case, milestones, number, reason, warmup=warmup, eps_warmup=eps)
    return [schedule, *epochs(case, number, why)]


def _stretched(
    case: Case, number: int, why: str, eps: float, eps_why: str, begin: int
) -> list[Change] | None:
    """The configured drops over so many epochs; None where they come too early or too late."""
    assert case.config is not None and isinstance(case.config.schedule, Piecewise)
    schedule, factor = case.config.schedule, number / case.epochs
    milestones = [m if m < 1 else round(m * factor) for m in schedule.milestones]
    horizon = round(schedule.horizon * factor) if schedule.horizon else None
    span = horizon or number
    drops = [d for d in (m * span if m < 1 else m for m in milestones) if d < number]
    warm = max(eps, schedule.warmup)
    if begin or not drops or drops[0] < warm or span < warm:
        return None
    if number - drops[-1] < rules.SHORTEST_SINCE_JUMP:
        return None
    changes = [*_eps(case, eps, eps_why), *epochs(case, number, why)]
    if milestones != schedule.milestones:
        after = ", ".join(map(str, milestones))
        what = f"let the learning rate drop after epochs {after}"
        changes.append(Change(what, "in proportion", (f"milestones=[{after}]",)))
    return [*changes, *_horizon(case, horizon)]


def _smooth(
    case: Case, number: int, why: str, eps: float, eps_why: str, begin: int
) -> list[Change]:
    """A smooth schedule over so many epochs, half of them at least with eps at its full size."""
    assert case.config is not None
    schedule, factor = case.config.schedule, number / case.epochs
    number = max(number, 2 * math.ceil(eps))
    horizon = min(round(schedule.horizon * factor), number) if schedule.horizon else None
    long = 2 * schedule.warmup > number
    if begin or (horizon and 2 * max(eps, 0 if long else schedule.warmup) > horizon):
        horizon = None
    changes = [*_eps(case, eps, eps_why), *epochs(case, number, why)]
    if long:
        what = "leave out the warm-up of the learning rate"
        changes.append(Change(what, "which takes more than half of the run", ("warmup=0",)))
    return [*changes, *_horizon(case, horizon)]


def _horizon(case: Case, span: int | None) -> list[Change]:
    if case.config is None or span == case.config.schedule.horizon:
        return []
    what = f"let the schedule span {span if span else 'all'} epochs"
    why = "in proportion" if span else "so that it ends with the run"
    return [Change(what, why, (f"horizon={exact(span)}",))]
