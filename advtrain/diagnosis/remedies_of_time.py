"""Remedies by more epochs, from the start or from where the run ended."""

from __future__ import annotations

import math

from advtrain.diagnosis import rules
from advtrain.diagnosis.case import Case
from advtrain.diagnosis.changes import Change, Remedy, epochs, to_the_end
from advtrain.diagnosis.schedules import LEAST_EPOCHS, piecewise, plan
from advtrain.diagnosis.segments import milestones

_MORE_EPOCHS = LEAST_EPOCHS // 2  # where the last phase only has to become longer


def more_epochs(case: Case) -> Remedy:
    """Time to come to rest: a longer schedule, the end of this one, or drops of lr after it."""
    if case.phase.exhausted:
        return _longer(case)
    return schedules_end(case) if case.phase.smooth else _go_on(case)


def _longer(case: Case) -> Remedy:
    changes = plan(case, 2 * case.epochs, "because the learning rate is spent")
    if case.lr and case.highest_lr and case.lr < 0.99 * case.highest_lr:  # its parent's
        lr = f"{case.highest_lr:.6g}"
        what, why = f"raise the learning rate from {case.lr:g} to {lr}", "which its parent had"
        changes.insert(0, Change(what, why, (f"lr={lr}",)))
    return Remedy(changes)


def _go_on(case: Case) -> Remedy:
    """As many epochs again; lr drops in their second half, so that the loss comes to rest."""
    begin = max(case.done, case.warm)
    end = begin + max(case.done, LEAST_EPOCHS)
    if end <= case.epochs:  # it stopped early
        end = case.epochs + _MORE_EPOCHS
    drops = [begin + (end - begin) // 2, begin + (end - begin) * 3 // 4]
    more = epochs(case, end, "to give it time to come to rest")
    changes = [*more, piecewise(case, drops, end), *to_the_end(case)]
    last = case.last_lr
    if last and case.lr and case.done >= case.warm and abs(last / case.lr - 1) > 1e-6:
        what, why = f"keep the learning rate at {last:.6g}", "where its drops have left it"
        changes.insert(0, Change(what, why, (f"lr={last:.6g}",)))
    return Remedy(changes, "at its end")


def schedules_end(case: Case) -> Remedy:
    """Of a smooth schedule that the run ended before, by its epochs or by early stopping."""
    why = "so that the learning rate's schedule runs to its end"
    if case.config is None:
        return Remedy([Change("let the learning rate's schedule run to its end")])
    more = epochs(case, max(case.config.horizon, case.epochs), why)
    return Remedy([*more, *to_the_end(case, why)], "at its end")


def long_enough(case: Case) -> Remedy:
    """More epochs after the last change of lr or eps, or more altogether."""
    if case.done < LEAST_EPOCHS:
        least = case.epochs + _MORE_EPOCHS if case.done < case.epochs else 0  # it stopped early
        number = max(LEAST_EPOCHS, 4 * case.done, least)
        return Remedy(plan(case, number, "because so few tell no trend from noise"))
    if case.phase.smooth and not case.phase.exhausted:
        return schedules_end(case)
    rose = case.done - case.warm < rules.SHORTEST_SINCE_JUMP  # eps did, while lr was spent
    if case.phase.exhausted and (case.phase.smooth or rose):
        return _longer(case)
    end = max(case.done, case.epochs, case.warm) + _MORE_EPOCHS
    for drop in map(math.ceil, milestones(case.config) if case.config else []):
        if drop < end:
            end = max(end, drop + _MORE_EPOCHS)
    more = epochs(case, end, "because too few lie behind the last change of lr or eps")
    return Remedy([*more, *to_the_end(case)], "at its end")
