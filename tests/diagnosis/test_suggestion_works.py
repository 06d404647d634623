"""Every suggestion, on all kinds of configs: it is valid, and lr and eps are as it says."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from advtrain.config.checks import cautions
from advtrain.config.identity import to_yaml
from advtrain.diagnosis.changes import exact
from advtrain.diagnosis.remedies import REMEDIES
from advtrain.diagnosis.suggestion import Suggestion
from tests.helpers.suggested import PARENT, Followed, Made, follow, full_eps, lr_of, runs
from tests.helpers.suggested_words import unsaid


def check_any(made: Made, found: Suggestion, after: Followed) -> None:
    """What holds for every suggestion."""
    before = made.config
    assert after.config.model_dump() != before.model_dump(), "it changes nothing"
    assert unsaid(made, found, after) == [], "its words leave out what it changes"
    if made.carried:
        assert after.goes_on is not None or "afresh" in found.text
    kept = f"horizon={exact(before.schedule.horizon)}"  # beside a parent with another
    retimed = {override.partition("=")[0] for override in found.overrides if override != kept}
    if retimed & {"epochs", "schedule", "milestones", "horizon"}:
        assert after.config.training.early_stopping is None, "it would stop early again"
    if retimed & {"schedule", "milestones"}:
        assert not [text for text in cautions(after.config) if "beyond" in text]
    if "schedule" not in retimed and after.goes_on != "runs/t/x":
        kept = {"name", "gamma"} | ({"warmup"} - retimed)
        for key in kept & vars(before.schedule).keys():
            assert getattr(after.config.schedule, key) == getattr(before.schedule, key)


def check_rests(made: Made, after: Followed) -> None:
    """Drops of lr in the second half, once eps is at its full size, and time to rest."""
    assert after.config.schedule.name == "piecewise"
    lr, own = after.lr, after.config.training.epochs - after.begin
    assert lr[-1] == pytest.approx(0.01 * max(lr)) and len(after.drops) == 2
    assert after.begin + own / 2 <= after.drops[0] + 0.5 and after.last_phase >= 10
    assert full_eps(after.config) <= after.drops[0] + 2


def check_lower(made: Made, found: Suggestion, after: Followed) -> None:
    before, now = made.config.optimizer, after.config.optimizer
    assert now.lr < before.lr and now.lr <= type(before)().lr
    assert now.clip_norm == min(before.clip_norm or 1, 1)
    assert max(after.lr) < before.lr
    if made.phase.constant:
        check_rests(made, after)


def check_free(made: Made, found: Suggestion, after: Followed) -> None:
    before, now, usual = made.config, after.config, type(made.config.optimizer)().lr
    ratio = now.optimizer.lr / before.optimizer.lr
    if before.objective.name == "standard" or before.attack.eps == 0:
        assert ratio == pytest.approx(0.1 if before.optimizer.lr >= usual else 10)
        assert now.schedule.eps_warmup == before.schedule.eps_warmup
    elif before.optimizer.lr > 4 * usual:
        assert now.optimizer.lr == usual
    else:
        assert ratio == 1 or (now.optimizer.lr == usual and ratio == pytest.approx(10))
        assert now.schedule.eps_warmup > before.schedule.eps_warmup
        assert full_eps(now) <= now.training.epochs * 2 / 3 + 1
        assert after.goes_on is None and now.training.epochs >= 40
        if now.schedule.name == "piecewise":
            assert after.last_phase >= 5
            assert after.drops[0] + 1 >= full_eps(now)
        else:
            assert max(after.lr[full_eps(now) - 1 :]) > 0.4 * max(after.lr)
    if made.phase.constant:
        check_rests(made, after)


def check_calm(made: Made, found: Suggestion, after: Followed) -> None:
    if made.phase.constant:
        check_rests(made, after)
        assert after.config.optimizer.lr == made.config.optimizer.lr
    else:
        assert after.config.optimizer.lr == pytest.approx(made.config.optimizer.lr / 3, rel=0.05)
        assert after.config.schedule == made.config.schedule or made.carried


def check_stronger(made: Made, found: Suggestion, after: Followed) -> None:
    before, now = made.config.attack, after.config.attack
    assert now.steps >= max(10, 2 * before.steps if before.steps > 1 else 0)
    assert now.start == "uniform"
    assert now.step_size == pytest.approx(2.5 * now.eps / now.steps)
    assert after.config.evaluation.steps >= 2 * now.steps


def check_multi_step(made: Made, found: Suggestion, after: Followed) -> None:
    before, now, usual = made.config, after.config, type(made.config.optimizer)().lr
    strong = before.attack.steps >= 10 and before.attack.start == "uniform"
    strong = strong and before.attack.steps * before.attack.step_size >= before.attack.eps
    if not strong:
        check_stronger(made, found, after)
    if before.optimizer.lr > 4 * usual:
        assert now.optimizer.lr == usual, "what follows would be stuck at chance"
    elif strong:
        assert now.optimizer.lr == pytest.approx(before.optimizer.lr / 10)
    else:
        assert now.optimizer.lr == before.optimizer.lr
    short = before.schedule.eps_warmup < before.training.epochs / 4
    attacked = before.attack.eps > 0 and before.objective.name != "standard"
    if made.accuracy == 0.1 and short and not made.carried and attacked:
        assert now.schedule.eps_warmup == now.training.epochs // 2
    elif made.phase.constant:
        check_rests(made, after)


def check_long_enough(made: Made, found: Suggestion, after: Followed) -> None:
    assert after.config.training.epochs > made.done
    if not made.phase.smooth:
        assert after.config.training.epochs > made.config.training.epochs
    if after.goes_on == "runs/t/x" and "schedule=" not in str(found.command):
        past = lr_of(made.config)[made.done :]
        assert after.lr[: len(past)] == past, "the schedule goes on as it was"
    if made.phase.constant and made.done < 40:
        check_rests(made, after)
    assert full_eps(after.config) < after.config.training.epochs
    if after.config.schedule.name in ("constant", "piecewise"):
        assert after.last_phase >= 5
    elif after.goes_on != "runs/t/x":
        assert full_eps(after.config) <= 0.5 * after.config.training.epochs + 1


def check_more(made: Made, found: Suggestion, after: Followed) -> None:
    before, now, last = made.config, after.config, float(made.table.get("lr")[-1])
    if made.phase.exhausted:
        assert now.training.epochs >= 2 * before.training.epochs
        assert after.goes_on == (PARENT if made.carried else None)
        assert max(after.lr) > 0.1 * float(made.table.get("lr").max())
        if now.schedule.name == "piecewise":
            assert after.last_phase >= 5
        elif not made.carried and before.schedule.warmup == 0 == before.schedule.eps_warmup:
            old, new = lr_of(before), after.lr
            assert new[1::2] == pytest.approx(old, abs=0.03 * max(old)), "twice as slow"
    elif made.phase.smooth:
        check_schedules_end(made, found, after)
    else:
        epochs = now.training.epochs
        assert after.goes_on == "runs/t/x"
        assert epochs > max(made.done, before.training.epochs)
        if made.done >= max(before.schedule.warmup, before.schedule.eps_warmup):
            assert after.lr[0] == pytest.approx(last, rel=1e-5), "lr stays as it was"
            assert max(after.lr) == pytest.approx(last, rel=1e-5)
            assert full_eps(now) <= made.done + 1
            assert after.drops[0] == made.done + (epochs - made.done) // 2
        assert after.lr[-1] == pytest.approx(0.01 * max(after.lr))
        assert len(after.drops) == 2 and after.last_phase >= 10


def check_schedules_end(made: Made, found: Suggestion, after: Followed) -> None:
    assert after.goes_on == "runs/t/x"
    assert after.config.training.early_stopping is None
    assert after.config.training.epochs == max(made.config.horizon, made.config.training.epochs)
    assert after.lr[-1] < 0.1 * made.config.optimizer.lr
    past = lr_of(made.config)[made.done :]
    assert after.lr[: len(past)] == past


def check_regularised(made: Made, found: Suggestion, after: Followed) -> None:
    before, now = made.config.optimizer, after.config.optimizer
    most = 0.5 if before.name == "adamw" else 0.01
    if before.weight_decay < most:
        least = 0.01 if before.name == "adamw" else 5e-4
        assert now.weight_decay == pytest.approx(min(most, 10 * max(least, before.weight_decay)))
    else:
        assert now.weight_decay == before.weight_decay
        natural = made.config.dataset.name == "cifar10"
        assert after.config.dataset.augment == ("crop+flip" if natural else "none")
    if made.phase.constant:
        check_rests(made, after)


def check_stopped(made: Made, found: Suggestion, after: Followed) -> None:
    before, now = made.config.schedule, after.config.schedule
    assert (now.warmup, now.eps_warmup) == (before.warmup, before.eps_warmup)
    warm = math.ceil(max(before.warmup, before.eps_warmup))
    first = max(made.best, warm, made.carried)
    expected = [first, first + 10] if first > after.begin else [first + 10]
    assert after.drops == expected
    assert after.config.training.epochs == first + 20
    assert ("best.pt" in found.text) == (made.config.dataset.val_size > 0)
    assert after.goes_on == (PARENT if made.carried else None)


def check_images(made: Made, found: Suggestion, after: Followed) -> None:
    assert after.config.evaluation.size == 5000


CHECKS = {
    "nonfinite": check_lower,
    "diverged": check_lower,
    "collapsed": check_lower,
    "stuck": check_free,
    "at_chance": check_free,
    "rising": check_calm,
    "oscillating": check_calm,
    "catastrophic_overfitting": check_multi_step,
    "broken": check_multi_step,
    "weak": check_stronger,
    "too_short": check_long_enough,
    "descending": check_more,
    "improving": check_more,
    "train_unresolved": check_more,
    "unresolved": check_more,
    "departs": check_more,
    "lr_moves": check_schedules_end,
    "worsening": check_regularised,
    "robust_overfitting": check_stopped,
    "level_unresolved": check_images,
}


def test_every_remedy_is_checked() -> None:
    assert CHECKS.keys() | {"chance_unknown"} == REMEDIES.keys()


@pytest.mark.parametrize("cause", CHECKS)
def test_what_is_suggested_works_as_it_says(cause: str, tmp_path: Path) -> None:
    checked = 0
    for made in runs(cause):
        if cause == "lr_moves" and (not made.phase.smooth or made.phase.exhausted):
            continue
        found = made.suggested(cause)
        assert found is not None
        if not found.overrides:
            assert cause == "worsening" and "more images" in found.text
            continue
        assert found.command is not None
        try:
            after = follow(made, found.command, tmp_path)
            check_any(made, found, after)
            CHECKS[cause](made, found, after)
        except Exception as error:
            raise AssertionError(
                f"{found}\n{made.done} epochs of:\n{to_yaml(made.config)}"
            ) from error
        checked += 1
    assert checked >= 3
