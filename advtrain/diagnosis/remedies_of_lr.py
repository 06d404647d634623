"""Remedies by another learning rate, or by letting eps rise."""

from __future__ import annotations

import math

from advtrain.diagnosis.case import Case
from advtrain.diagnosis.changes import Change, Remedy, learning_rate
from advtrain.diagnosis.schedules import LEAST_EPOCHS, plan

CALMER = 10  # by how much lr falls where its steps were too long
_TOO_HIGH = 4  # times the usual lr: beyond it a network may fall to chance
_PLATEAU = "because at full eps from the start a constant guess is where training comes to rest"
_HALF = "so that half of them have eps at its full size"


def lower_lr(case: Case) -> Remedy:
    """Shorter steps for a loss that they drove up or out of the numbers."""
    changes = []
    if case.lr is not None:
        lr = case.lr / CALMER
        why = "because the steps became too long for the loss"
        changes.append(learning_rate(case, min(lr, case.usual_lr or lr), why))
    else:
        changes.append(Change("lower the learning rate"))
    limit = case.config.optimizer.clip_norm if case.config else None
    if limit is None or limit > 1:
        why = "so that no single batch throws the weights off"
        changes.append(Change("clip the gradient to norm 1", why, ("clip_norm=1",)))
    if case.phase.constant or case.warmup > case.epochs / 2:
        changes += plan(case, case.epochs)
    return Remedy(changes)


def leave_plateau(case: Case) -> Remedy:
    """Out of the plateau at chance, where a constant guess is a stationary point."""
    lr, usual = case.lr, case.usual_lr
    if not case.attacked:
        return _another_lr(case)
    if too_high := usual_lr(case, "and steps so long throw a network to chance"):
        return Remedy([too_high, *settle(case)])
    changes = rising_eps(case)
    if lr is not None and usual is not None and lr < usual / 4:
        changes.append(learning_rate(case, usual, "because a low one hardly leaves chance"))
    if case.table.carried:
        why = "because at this run's first epoch eps would be halfway up already"
        return Remedy([Change("start afresh, without its parent", why), *changes], "afresh")
    return Remedy(changes)


def _another_lr(case: Case) -> Remedy:
    """Where no attack makes the plateau."""
    if case.lr is None or case.usual_lr is None:
        return Remedy([Change("try a learning rate ten times lower or higher")])
    lr = case.lr / 10 if case.lr >= case.usual_lr else case.lr * 10
    why = "because without an attack it is the learning rate that keeps a network at chance"
    return Remedy([learning_rate(case, lr, why), *settle(case)])


def calm(case: Case) -> Remedy:
    """Lr that drops, or a lower one, for a loss that does not come to rest."""
    if case.phase.constant:
        return Remedy(settle(case))
    if not case.lr:
        return Remedy([Change("lower the learning rate")])
    return Remedy([learning_rate(case, case.lr / 3, "so that the loss comes to rest")])


def usual_lr(case: Case, why: str) -> Change | None:
    """Down to the usual lr, where that of the run is far above it."""
    if case.lr is None or case.usual_lr is None or case.lr <= _TOO_HIGH * case.usual_lr:
        return None
    times = f"because it is {case.lr / case.usual_lr:.3g} times the usual one"
    return learning_rate(case, case.usual_lr, f"{times}, {why}")


def settle(case: Case) -> list[Change]:
    """Drops of a constant lr, after which a noisy loss comes to rest."""
    return plan(case, case.epochs) if case.phase.constant else []


def rising_eps(case: Case, why: str = _PLATEAU) -> list[Change]:
    """Eps rises from 0, or over more epochs than it did, and has its full size for half of them."""
    number = case.epochs
    if case.eps_warmup >= case.epochs / 4:
        number = 2 * max(number, math.ceil(2 * case.eps_warmup))
    number = max(number, LEAST_EPOCHS)
    return plan(case, number, _HALF, eps_warmup=number // 2, eps_why=why, afresh=True)
