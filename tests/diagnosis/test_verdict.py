"""The verdict on curves that people meet, each by its shape; the rules that hold them together."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advtrain.diagnosis.seeds import over_seeds, wilson
from advtrain.diagnosis.table import Labels, Table
from advtrain.diagnosis.verdict import Verdict, diagnose
from tests.helpers.made_curves import SCENARIOS, Setting
from tests.helpers.made_tables import LN10, config, curve, table


def states(verdict: Verdict) -> tuple[str, str, str, str]:
    inner, train, held_out, level = (
        verdict.axes[name].state for name in ("inner", "train", "held_out", "level")
    )
    return inner, train, held_out, level


def test_a_plateau_before_a_pending_drop_is_no_convergence() -> None:
    known = config(schedule={"name": "piecewise", "milestones": [100]}, training={"epochs": 150})
    made = table(curve((20, 2.2, 1.5), (60, 1.5, 1.5)), curve((20, 0.2, 0.48), (60, 0.48, 0.48)),
                 known=known)  # fmt: skip
    running = diagnose(dataclasses.replace(made, state="running"))
    assert running.converged is None
    assert running.headline == (
        "not yet: training loss flat at this lr; drop of lr after epoch 100 pending (still running)"
    )
    assert running.suggestion is None, "nobody is told to stop or go on before the drop"
    ended = diagnose(made)  # by early stopping: no drop will come
    assert ended.converged is True and ended.headline == "converged"


def test_after_the_drop_only_the_new_segment_counts() -> None:
    known = config(schedule={"name": "piecewise", "milestones": [60]}, training={"epochs": 80})
    train = curve((10, 2.2, 1.5), (50, 1.5, 1.5), (20, 1.2, 0.9))
    verdict = diagnose(table(train, curve((60, 0.48, 0.48), (20, 0.53, 0.53)), known=known))
    assert verdict.axes["train"].state == "descending"
    assert verdict.axes["train"].epochs is not None and verdict.axes["train"].epochs[0] > 60


@pytest.mark.parametrize("escapes", [True, False])
def test_stuck_for_100_epochs_with_or_without_escape_at_the_drop(escapes: bool) -> None:
    known = config(schedule={"name": "piecewise", "milestones": [100]}, training={"epochs": 130})
    late = curve((30, 1.6, 1.0)) if escapes else np.full(30, LN10)
    acc = np.concatenate(
        [np.full(100, 0.1), curve((30, 0.3, 0.6)) if escapes else np.full(30, 0.1)]
    )
    verdict = diagnose(
        table(np.concatenate([np.full(100, LN10), late]), acc, noise=0.002, known=known)
    )
    if escapes:
        assert verdict.axes["train"].state == "descending"
    else:
        assert verdict.converged is False
        assert verdict.headline == "no: stuck at chance since epoch 1"


def test_stuck_before_the_drop_says_that_some_escape_there() -> None:
    known = config(schedule={"name": "piecewise", "milestones": [100]}, training={"epochs": 130})
    made = table(np.full(30, LN10), np.full(30, 0.1), noise=0.002, known=known)
    verdict = diagnose(dataclasses.replace(made, state="running"))
    assert verdict.headline == (
        "no: stuck at chance since epoch 1; drop of lr after epoch 100 pending, "
        "where some runs escape"
    )


def test_stuck_is_measured_against_the_labels_own_entropy() -> None:
    """SVHN's labels are unequal: its entropy is under ln 10 and its majority a fifth."""
    made = table(np.full(40, 2.22), np.full(40, 0.19), noise=0.002)
    assert diagnose(made).axes["train"].state != "stuck"
    svhn = dataclasses.replace(made, labels=Labels(10, 2.223, 0.19))
    assert diagnose(svhn).axes["train"].state == "stuck"


def test_a_collapse_of_three_epochs_that_recovers_is_no_collapse() -> None:
    acc = curve((30, 0.2, 0.5), (3, 0.1, 0.1), (20, 0.48, 0.5))
    train = curve((30, 2.2, 1.2), (3, 2.3, 2.3), (20, 1.2, 1.15))
    assert diagnose(table(train, acc)).axes["held_out"].state not in ("collapsed", "worsening")
    verdict = diagnose(table(train[:33], acc[:33]))
    assert verdict.axes["held_out"].state == "collapsed"
    assert verdict.headline == "no: collapsed to chance at epoch 31"


def test_heavy_label_mixing_keeps_train_loss_above_test_loss() -> None:
    train = curve((30, 2.3, 1.9), (60, 1.9, 1.9))
    acc = curve((30, 0.2, 0.5), (60, 0.5, 0.5))
    verdict = diagnose(table(train, acc, test=train - 0.6, noise=0.003))
    assert (verdict.converged, verdict.axes["held_out"].state) == (True, "settled")


def test_slow_overfitting_after_the_drop_is_dated_at_its_best() -> None:
    known = config(schedule={"name": "piecewise", "milestones": [100, 150]},
                   training={"epochs": 200})  # fmt: skip
    acc = curve((100, 0.3, 0.47), (6, 0.53, 0.53), (44, 0.52, 0.47), (50, 0.47, 0.46))
    train = curve((100, 2.0, 1.4), (50, 1.1, 0.7), (50, 0.5, 0.35))
    test = curve((100, 1.9, 1.5), (6, 1.35, 1.35), (44, 1.4, 1.6), (50, 1.6, 1.7))
    lr = np.repeat([0.1, 0.01, 0.001], [100, 50, 50])
    verdict = diagnose(table(train, acc, test=test, known=known, lr=lr))
    assert verdict.axes["held_out"].state == "robust_overfitting"
    assert verdict.converged is True, "lr is spent"
    best = verdict.axes["held_out"].numbers["best_epoch"]
    assert isinstance(best, int) and 101 <= best <= 106
    assert verdict.headline == f"optimised; best at epoch {best}, robust overfitting since"


def test_early_dips_are_noise_where_later_epochs_gain() -> None:
    acc = curve((10, 0.2, 0.3), (6, 0.27, 0.27), (60, 0.3, 0.5))
    verdict = diagnose(table(curve((76, 2.1, 1.4)), acc))
    assert verdict.axes["held_out"].state == "improving"


def test_fgsm_whose_multi_step_accuracy_goes_within_an_epoch_is_dated() -> None:
    acc = curve((11, 0.2, 0.4), (9, 0.01, 0.0))
    train = curve((11, 2.1, 1.4), (9, 0.6, 0.3))
    single = curve((11, 0.25, 0.5), (9, 0.8, 0.85))
    known = config(attack={"steps": 1, "alpha": "eps", "start": "zero"})
    verdict = diagnose(table(train, acc, noise=0.001, known=known, test_fgsm_acc=single))
    assert states(verdict)[0] == "broken"
    assert verdict.headline == "no: catastrophic overfitting, the attack broke at epoch 12"
    assert verdict.suggestion is not None and "steps=10" in verdict.suggestion.overrides


def test_single_steps_that_hold_are_by_design() -> None:
    known = config(attack={"steps": 1, "alpha": "eps"}, schedule="constant")
    made = table(curve((20, 2.1, 1.2), (60, 1.2, 1.2)), curve((20, 0.2, 0.4), (60, 0.4, 0.4)),
                 noise=0.003, known=known)  # fmt: skip
    verdict = diagnose(made)
    assert states(verdict) == ("by_design", "flat", "settled", "above_chance")
    assert verdict.headline == "converged at this lr"


def test_a_weak_attack_is_said_beside_the_answer() -> None:
    n = 80
    test = curve((20, 2.1, 1.2), (60, 1.2, 1.2))
    made = table(test, curve((20, 0.2, 0.4), (60, 0.4, 0.4)), test=test, noise=0.003,
                 test_robust_loss_2x=test + 0.2, lr=np.full(n, 0.1))  # fmt: skip
    verdict = diagnose(made)
    assert states(verdict)[0] == "weak" and verdict.converged is True
    assert verdict.headline == "converged at this lr; the attack is weak"
    assert verdict.suggestion is not None and "steps=10" in verdict.suggestion.overrides


def test_gradients_that_vanish_where_the_network_is_unsure_are_a_broken_attack() -> None:
    made = table(curve((40, 2.1, 1.0)), curve((40, 0.2, 0.4)), probe_vanished=np.full(40, 0.9),
                 test_clean_acc=np.full(40, 0.8))  # fmt: skip
    assert diagnose(made).axes["inner"].state == "broken"
    assert diagnose(made).converged is False


def test_at_chance_there_is_nothing_to_attack() -> None:
    made = table(np.full(40, LN10), np.full(40, 0.1), noise=0.002,
                 probe_vanished=np.ones(40), test_clean_acc=np.full(40, 0.1))  # fmt: skip
    assert diagnose(made).axes["inner"].state == "not_measured"


def test_clean_training_is_judged_on_clean_images() -> None:
    n = 60
    clean = curve((20, 0.3, 0.97), (40, 0.97, 0.97))
    loss = curve((20, 1.5, 0.05), (40, 0.05, 0.05))
    known = config(objective="standard", schedule="constant")
    verdict = diagnose(
        Table(np.arange(n), {"train_clean_loss": loss, "test_clean_acc": clean,
                             "test_clean_loss": loss, "test_robust_acc": np.zeros(n)},
              config=known, labels=Labels.balanced(10), images=10_000)
    )  # fmt: skip
    assert (states(verdict)[0], verdict.converged) == ("by_design", True)


@pytest.mark.parametrize("schedule", ["cosine", {"name": "cyclic", "peak": 0.3}])
def test_a_smooth_schedules_end_asks_for_no_more_epochs_there(schedule) -> None:
    n = 30
    known = config(schedule=schedule, training={"epochs": n})
    train = 2.2 - 1.4 * np.sin(np.linspace(0, np.pi / 2, n)) ** 3
    lr = 0.025 * (1 + np.cos(np.linspace(0, np.pi, n)))
    rising = diagnose(table(train, curve((n, 0.2, 0.6)), known=known, lr=lr, noise=0.002))
    assert rising.converged is None and "lr is spent" in rising.headline
    assert rising.suggestion is not None and rising.suggestion.overrides == ("epochs=60",)
    assert "--from" not in str(rising.suggestion.command)
    settled = curve((20, 0.2, 0.5), (10, 0.5, 0.5))
    verdict = diagnose(table(train, settled, known=known, lr=lr, noise=0.002,
                             test=curve((20, 2.0, 1.2), (10, 1.2, 1.2))))  # fmt: skip
    assert verdict.converged is True, "the loss falls steeply, but lr is spent"


def test_a_smooth_schedule_under_way_has_not_converged() -> None:
    known = config(schedule="cosine", training={"epochs": 120})
    made = table(np.r_[curve((10, 2.1, 1.2)), np.full(50, 1.2)],
                 np.r_[curve((10, 0.2, 0.4)), np.full(50, 0.4)], known=known, noise=0.002,
                 lr=0.025 * (1 + np.cos(np.linspace(0, np.pi / 2, 60))))  # fmt: skip
    verdict = diagnose(dataclasses.replace(made, state="running"))
    assert verdict.converged is None and "lr is on its way" in verdict.headline


@pytest.mark.parametrize("last", [2, 4])
def test_last_epochs_that_leave_the_window_are_no_convergence(last: int) -> None:
    rest = 60 - 10 - last
    for end, acc in ((2.3, 0.1), (0.7, 0.6)):  # it blows up, or escapes
        train = curve((10, 2.1, 1.2), (rest, 1.2, 1.2), (last, end, end))
        made = table(train, curve((10, 0.2, 0.4), (rest, 0.4, 0.4), (last, acc, acc)), noise=0.002)
        assert diagnose(made).converged is not True, (end, last)


def test_two_classes_can_overfit_too() -> None:
    acc = curve((20, 0.55, 0.8), (60, 0.8, 0.68))
    made = table(curve((80, 0.7, 0.1)), acc, test=curve((20, 0.7, 0.5), (60, 0.5, 0.8)))
    two = dataclasses.replace(made, labels=Labels.balanced(2))
    assert diagnose(two).axes["held_out"].state == "robust_overfitting"


def test_while_eps_rises_a_rising_loss_is_no_divergence() -> None:
    known = config(schedule={"name": "constant", "eps_warmup": 30}, training={"epochs": 60})
    made = table(curve((5, 1.5, 0.3), (20, 0.3, 1.4)), curve((25, 0.0, 0.3)), known=known)
    verdict = diagnose(dataclasses.replace(made, state="running"))
    assert verdict.axes["train"].state == "too_short" and verdict.suggestion is None


def test_fifteen_epochs_are_enough_for_an_answer() -> None:
    known = config(schedule="cosine", training={"epochs": 15})
    acc = curve((7, 0.2, 0.44), (8, 0.45, 0.455))
    verdict = diagnose(table(curve((15, 2.1, 1.3)), acc, known=known, noise=0.002,
                             test=curve((7, 2.1, 1.5), (8, 1.45, 1.44))))  # fmt: skip
    assert verdict.axes["train"].state != "too_short" and verdict.converged is True


def test_eps_warm_up_is_a_segment_of_its_own() -> None:
    known = config(schedule={"name": "constant", "eps_warmup": 30}, training={"epochs": 60})
    train = curve((30, 0.3, 1.4), (30, 1.4, 1.4))  # it rises as the attack grows
    verdict = diagnose(table(train, curve((30, 0.0, 0.4), (30, 0.4, 0.4)), known=known,
                             noise=0.002))  # fmt: skip
    assert verdict.axes["train"].state == "flat"


def test_the_last_row_is_measured_on_other_images() -> None:
    """Ten points of difference between subset and whole are no trend."""
    made = table(curve((10, 2.1, 1.2), (30, 1.2, 1.2)), curve((10, 0.2, 0.4), (30, 0.4, 0.4)),
                 noise=0.002)  # fmt: skip
    made.columns["test_robust_acc"][-1] = 0.5
    made.columns["test_robust_loss"][-1] = 0.9
    whole = dataclasses.replace(made, whole=(40,))
    assert diagnose(whole).axes["held_out"].epochs[1] == 39
    assert diagnose(whole).axes["held_out"].state == "settled"


def test_epochs_without_evaluation_are_no_gap_in_the_answer() -> None:
    made = table(curve((40, 2.1, 1.2), (160, 1.2, 1.2)), curve((40, 0.2, 0.4), (160, 0.4, 0.4)),
                 noise=0.002)  # fmt: skip
    for name in [n for n in made.columns if n.startswith("test")]:
        made.columns[name][np.arange(200) % 5 != 4] = np.nan
    verdict = diagnose(made)
    assert (verdict.converged, verdict.axes["held_out"].state) == (True, "settled")


def test_without_the_number_of_classes_the_level_is_unknown_below_half() -> None:
    made = table(curve((20, 2.1, 1.2), (60, 1.2, 1.2)), curve((20, 0.2, 0.4), (60, 0.4, 0.4)))
    unknown = diagnose(dataclasses.replace(made, labels=None))
    assert unknown.converged is None and "classes" in unknown.headline
    high = curve((20, 0.2, 0.8), (60, 0.8, 0.8))
    assert diagnose(dataclasses.replace(table(curve((20, 2.1, .5), (60, .5, .5)), high,
                                              noise=0.002), labels=None)).converged  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(SCENARIOS)), st.integers(0, 10_000), st.integers(-1, 500))
def test_shifted_epochs_change_no_state(name: str, seed: int, shift: int) -> None:
    made = SCENARIOS[name].make(Setting.drawn(np.random.default_rng(seed)))
    if made is None:
        return
    bad = None if made.bad_epoch is None else made.bad_epoch + shift
    moved = dataclasses.replace(made, epoch=made.epoch + shift, bad_epoch=bad)
    before, after = diagnose(made), diagnose(moved)
    assert states(before) == states(after)
    assert (before.converged, before.cause) == (after.converged, after.cause)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(SCENARIOS)), st.integers(0, 10_000), st.data())
def test_any_part_of_a_table_has_an_answer_that_is_json(name: str, seed: int, data) -> None:
    """Missing columns, missing cells, one row: never an exception, never NaN in the answer."""
    draw = np.random.default_rng(seed)
    made = SCENARIOS[name].make(Setting.drawn(draw))
    if made is None:
        return
    rows = data.draw(st.integers(1, len(made)))
    keep = data.draw(st.sets(st.sampled_from(sorted(made.columns))))
    holes = data.draw(st.floats(0, 0.9))
    columns = {k: np.where(draw.random(rows) < holes, np.nan, made.columns[k][:rows]) for k in keep}
    part = dataclasses.replace(made, epoch=made.epoch[:rows], columns=columns)
    verdict = diagnose(part)
    text = json.dumps(verdict.to_json(), allow_nan=False)
    assert set(json.loads(text)["axes"]) == {"inner", "train", "held_out", "level"}


def test_wilson_intervals_are_the_published_ones() -> None:
    assert wilson(3, 5) == pytest.approx((0.231, 0.882), abs=0.001)
    assert wilson(0, 10) == pytest.approx((0.0, 0.278), abs=0.001)
    assert wilson(5, 5) == pytest.approx((0.566, 1.0), abs=0.001)


def test_seeds_are_taken_together() -> None:
    def run(seed: int, level: float) -> Table:
        known = config(seed=seed, schedule="constant")
        return table(curve((20, 2.1, 1.2), (60, 1.2, 1.2)),
                     curve((20, 0.1, level), (60, level, level)), seed, noise=0.002,
                     known=known)  # fmt: skip

    tables = [run(0, 0.5), run(1, 0.51), run(2, 0.5), run(3, 0.2)]
    found = over_seeds(list("abcd"), tables, [diagnose(t) for t in tables])
    assert (found.seeds, found.decided_by) == (4, 3)
    assert found.converged == 4 and found.headline.startswith("4 of 4 seeds converge")
    assert found.mean == pytest.approx(0.4275, abs=0.01)
    assert over_seeds(list("abc"), tables[:3], [diagnose(t) for t in tables[:3]]).decided_by is None
