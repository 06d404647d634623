"""The verdict where little was measured, late, or by others: no answer it cannot stand for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from advtrain.diagnosis.seeds import over_seeds
from advtrain.diagnosis.segments import phases
from advtrain.diagnosis.table import Labels, Table
from advtrain.diagnosis.verdict import diagnose, unjudged
from tests.helpers.made_tables import LN10, config, curve, table

CONSTANT = {"name": "constant"}


def settled(n: int = 80, **columns: np.ndarray) -> Table:
    """A training that has come to rest."""
    acc = curve((20, 0.2, 0.4), (n - 20, 0.4, 0.4))
    return table(curve((20, 2.1, 1.2), (n - 20, 1.2, 1.2)), acc, noise=0.002, **columns)


def test_one_huge_loss_at_the_start_is_no_divergence() -> None:
    made = settled()
    made.columns["train_robust_loss"][0] = 1e18
    verdict = diagnose(made)
    assert verdict.axes["train"].state == "flat" and verdict.converged is True


def test_stuck_shows_where_accuracy_is_measured_every_fifth_epoch() -> None:
    hits = np.full(40, np.nan)
    hits[4::5] = 0.1
    made = table(np.full(40, LN10), hits, noise=0.0, train_robust_acc=np.full(40, np.nan))
    axis = diagnose(made).axes["train"]
    assert (axis.state, axis.numbers["since"]) == ("stuck", 1)


def test_a_settled_loss_does_not_speak_for_an_accuracy_that_falls() -> None:
    """360 images hide a fall of 2.5 points, but not that there is one."""
    acc = np.r_[curve((20, 0.2, 0.5)), curve((60, 0.5, 0.475))]
    made = table(curve((20, 2.1, 1.2), (60, 1.2, 1.2)), acc, noise=0.005)
    verdict = diagnose(dataclasses.replace(made, images=360))
    held = verdict.axes["held_out"]
    assert (held.numbers["high"] or 0) < 0 and held.numbers["loss_change"] is not None
    assert held.state == "unresolved"
    assert verdict.cause in ("within_band", "unresolved")


@pytest.mark.parametrize("axis", ["train", "accuracy", "loss"])
def test_last_epochs_that_depart_are_not_called_noise(axis: str) -> None:
    made = settled(test_robust_acc=np.full(80, np.nan)) if axis == "loss" else settled()
    name = {"train": "train_robust_loss", "accuracy": "test_robust_acc", "loss": "test_robust_loss"}
    made.columns[name[axis]][-3:] += 0.1
    verdict = diagnose(made)
    assert verdict.converged is None
    if axis == "loss":  # nothing is known of accuracy, so not of its level either
        assert verdict.axes["held_out"].rule == "the last epochs leave held-out loss's level"
        return
    what = {"train": "the training loss", "accuracy": "held-out accuracy"}[axis]
    assert verdict.cause == "departs"
    assert verdict.headline == f"cannot tell yet: the last epochs leave {what}'s level"
    where = verdict.axes["train" if axis == "train" else "held_out"]
    assert where.numbers["departs"] == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("down", [3, 4, 9])
def test_a_collapse_is_dated_where_it_began(down: int) -> None:
    acc = curve((30, 0.2, 0.5), (down, 0.1, 0.1))
    made = table(curve((30, 2.2, 1.2), (down, 2.3, 2.3)), acc, noise=0.001)
    assert diagnose(made).axes["held_out"].numbers["since"] == 31


def test_train_accuracy_under_pgd_is_no_single_step_accuracy() -> None:
    acc = curve((20, 0.2, 0.54), (60, 0.5, 0.24))  # strong robust overfitting
    train_acc = curve((20, 0.2, 0.6), (60, 0.6, 0.97))
    made = table(curve((80, 2.2, 0.1)), acc, test=curve((20, 2.2, 1.4), (60, 1.5, 3.0)),
                 known=config(schedule=CONSTANT), train_robust_acc=train_acc,
                 test_fgsm_acc=np.full(80, np.nan))  # fmt: skip
    assert diagnose(made).axes["held_out"].state == "robust_overfitting"
    foreign = dataclasses.replace(made, config=None)
    assert diagnose(foreign).axes["held_out"].state == "robust_overfitting"


def test_of_a_foreign_fgsm_training_train_accuracy_tells_that_it_broke() -> None:
    acc = curve((11, 0.2, 0.4), (9, 0.01, 0.0))
    made = table(curve((11, 2.1, 1.4), (9, 0.6, 0.3)), acc, noise=0.0,
                 train_robust_acc=curve((11, 0.25, 0.5), (9, 0.8, 0.9)),
                 test_fgsm_acc=np.full(20, np.nan))  # fmt: skip
    assert diagnose(made).axes["held_out"].state == "catastrophic_overfitting"


def test_one_step_on_test_does_not_stand_in_for_pgd() -> None:
    """With the diagnostics off nothing is known of what PGD sees."""
    off = {"test_fgsm_acc": np.full(80, 0.9), "test_robust_loss_2x": np.full(80, np.nan)}
    many = dataclasses.replace(settled(**off), config=config(schedule=CONSTANT))
    assert diagnose(many).axes["inner"].state == "not_measured"
    one = dataclasses.replace(many, config=config(schedule=CONSTANT, attack={"steps": 1}))
    assert diagnose(one).axes["inner"].state == "broken"
    foreign = diagnose(dataclasses.replace(many, config=None)).axes["inner"]
    assert foreign.state == "broken" and "one step on test" in foreign.rule


@pytest.mark.parametrize(
    ("state", "said"),
    [("running", "(still running)"), ("interrupted", "(interrupted)"), ("stale", "(stale)")],
)
def test_only_what_runs_is_said_to_run(state: str, said: str) -> None:
    made = dataclasses.replace(settled(), state=state)
    assert diagnose(made).headline == f"converged at this lr {said}"


def test_robust_columns_on_val_alone_are_no_clean_training() -> None:
    robust = {f"val_robust_{what}": np.full(20, 0.4) for what in ("loss", "acc")}
    columns = {"train_clean_loss": np.linspace(2, 1, 20), **robust}
    assert Table(np.arange(20), columns).kind == "robust"
    assert Table(np.arange(20), {"train_clean_loss": np.linspace(2, 1, 20)}).kind == "clean"


def test_epochs_that_would_tell_are_epochs_not_measurements() -> None:
    draw = np.random.default_rng(1)
    acc = np.full(60, 0.5) + draw.normal(0, 0.004, 60)
    loss = 1.3 + draw.normal(0, 0.03, 60)
    every_fifth = {name: np.full(60, np.nan) for name in ("test_robust_acc", "test_robust_loss")}
    every_fifth["test_robust_acc"][4::5] = acc[4::5]
    every_fifth["test_robust_loss"][4::5] = loss[4::5]
    made = table(np.full(60, 1.0), acc, **every_fifth)
    held = diagnose(dataclasses.replace(made, config=config(schedule=CONSTANT))).axes["held_out"]
    assert held.state == "unresolved"
    needed = held.numbers["epochs_needed"]
    assert needed is None or needed > 60, "more than there are"
    points = held.numbers["points"]
    assert points == 8, "of 12 measurements two thirds"
    assert needed is not None


def test_a_continuation_at_another_eps_is_judged_from_there() -> None:
    train = curve((20, 2.1, 0.9), (30, 1.4, 1.4))  # a stronger attack
    made = table(train, curve((20, 0.2, 0.6), (30, 0.4, 0.4)), noise=0.002,
                 known=config(schedule=CONSTANT, training={"epochs": 50}))  # fmt: skip
    assert diagnose(made).axes["train"].state == "diverged"
    curriculum = dataclasses.replace(made, carried=20, changed=("attack",), parent="p")
    verdict = diagnose(curriculum)
    assert verdict.axes["train"].state == "flat" and verdict.converged is True


def test_unfinished_seeds_do_not_count_as_not_converged() -> None:
    def run(seed: int, state: str) -> Table:
        known = config(seed=seed, schedule=CONSTANT)
        return dataclasses.replace(settled(), config=known, state=state)

    tables = [run(0, "finished"), run(1, "finished"), run(2, "running")]
    found = over_seeds(list("abc"), tables, [diagnose(t) for t in tables])
    assert (found.seeds, found.converged, found.unfinished) == (2, 2, 1)
    assert found.headline.startswith("2 of 2 seeds converge")
    assert found.headline.endswith("1 unfinished")
    none = over_seeds(["c"], tables[2:], [diagnose(tables[2])])
    assert (none.seeds, none.low, none.high) == (0, 0.0, 1.0)


def test_undecided_seeds_are_said_beside_those_that_converge() -> None:
    known = config(schedule=CONSTANT)
    tables = [dataclasses.replace(settled(), config=known) for _ in range(3)]
    verdicts = [diagnose(table) for table in tables]
    verdicts[1] = dataclasses.replace(verdicts[1], converged=None)
    found = over_seeds(list("abc"), tables, verdicts)
    assert (found.seeds, found.converged, found.undecided) == (3, 2, 1)
    assert found.headline.startswith("2 of 3 seeds converge (95% interval 21% to 94%), 1 undecided")


def test_what_cannot_be_judged_has_no_verdict_and_a_reason() -> None:
    verdict = unjudged("no epochs yet (queued)")
    assert (verdict.converged, verdict.headline) == (None, "cannot tell: no epochs yet (queued)")
    assert {axis.state for axis in verdict.axes.values()} == {"not_measured"}


def test_labels_that_are_unknown_leave_the_stand_in_unused() -> None:
    acc = curve((11, 0.2, 0.4), (9, 0.01, 0.0))
    made = table(curve((11, 2.1, 1.4), (9, 0.6, 0.3)), acc, noise=0.0,
                 train_robust_acc=curve((11, 0.25, 0.5), (9, 0.8, 0.9)),
                 test_fgsm_acc=np.full(20, np.nan))  # fmt: skip
    assert Labels.balanced(10).chance == pytest.approx(0.15)
    unknown = diagnose(dataclasses.replace(made, labels=None))
    assert unknown.axes["held_out"].state == "catastrophic_overfitting", "0% is below any chance"


def test_an_accuracy_that_is_too_noisy_to_be_flat_may_depart_too() -> None:
    draw = np.random.default_rng(3)
    acc = np.full(100, 0.45) + draw.normal(0, 0.0075, 100)
    acc[-3:] -= 0.08
    made = table(np.full(100, 1.2), acc, noise=0.0, test=np.full(100, 1.5))
    assert diagnose(made).axes["held_out"].numbers["departs"] == pytest.approx(-0.08, abs=0.02)
    assert (diagnose(made).converged, diagnose(made).cause) == (None, "departs")


def test_the_best_at_another_eps_is_nothing_to_fall_back_from() -> None:
    """Real runs that go on at eps .3: a network at chance there, and one that is weaker there."""
    acc = np.r_[curve((15, 0.3, 0.9)), np.full(30, 0.1)]
    made = table(np.r_[curve((15, 2.1, 0.4)), np.full(30, LN10)], acc, noise=0.0,
                 known=config(schedule=CONSTANT, training={"epochs": 45}))  # fmt: skip
    assert diagnose(made).axes["held_out"].state == "collapsed"
    again = dataclasses.replace(made, carried=15, changed=("attack",), parent="p")
    assert diagnose(again).cause == "stuck"
    eps = np.r_[np.linspace(0, 0.06, 20), np.full(40, 0.06)]
    weaker = table(
        curve((20, 0.5, 1.8), (40, 1.8, 1.8)),
        curve((20, 0.8, 0.25), (40, 0.25, 0.25)),
        noise=0.002,
        eps=eps,
        test_fgsm_acc=curve((20, 0.82, 0.52), (40, 0.52, 0.52)),
    )
    assert diagnose(weaker).axes["held_out"].state == "settled"


@pytest.mark.parametrize(("classes", "accuracy"), [(10, 0.196), (2, 0.60), (2, 0.70)])
def test_guessing_the_largest_of_unequal_classes_is_no_convergence(classes, accuracy) -> None:
    n = 60
    columns = {
        "train_robust_loss": np.full(n, 0.97 * np.log(classes)),
        "train_robust_acc": np.full(n, accuracy),
        "test_robust_acc": np.full(n, accuracy),
        "test_robust_loss": np.full(n, 0.97 * np.log(classes)),
    }
    labels = Labels.balanced(classes, assumed=True)
    verdict = diagnose(Table(np.arange(n), columns, labels=labels))
    assert verdict.converged is None and verdict.cause == "chance_unknown"
    assert "were the classes not equally frequent" in verdict.headline
    counted = diagnose(Table(np.arange(n), columns, labels=Labels.balanced(classes)))
    assert counted.axes["level"].state == "above_chance"


def test_accuracy_alone_tells_of_robust_overfitting() -> None:
    acc = curve((100, 0.3, 0.47), (6, 0.53, 0.53), (94, 0.52, 0.45))
    train = curve((100, 2.0, 1.4), (100, 1.1, 0.4))
    made = table(train, acc, lr=np.repeat([0.1, 0.001], 100),
                 test_robust_loss=np.full(200, np.nan))  # fmt: skip
    verdict = diagnose(made)
    assert verdict.axes["held_out"].state == "robust_overfitting"
    assert verdict.headline.startswith("optimised; best at epoch 10")


def test_a_lower_accuracy_that_has_settled_is_said_to_be_below_its_best() -> None:
    acc = curve((20, 0.2, 0.52), (20, 0.52, 0.45), (60, 0.45, 0.45))
    made = table(curve((20, 2.1, 1.2), (80, 1.2, 1.2)), acc, noise=0.002,
                 test=np.r_[curve((20, 2.1, 1.5)), np.full(80, 1.5)])  # fmt: skip
    verdict = diagnose(made)
    assert verdict.converged is True
    assert "; accuracy is 6." in verdict.headline and "points below its best, at epoch 2" in (
        verdict.headline
    )


def lr_only(lr: np.ndarray) -> Table:
    return dataclasses.replace(settled(len(lr), lr=lr), labels=Labels.balanced(10))


def test_a_warm_restart_begins_a_segment() -> None:
    cycle = 0.05 * (1 + np.cos(np.linspace(0, np.pi, 25)))
    made = lr_only(np.r_[cycle, cycle, cycle, cycle[:8]])
    made.columns["train_robust_loss"][75:] += 0.6
    assert phases(made).starts == (0, 25, 50, 75)
    assert diagnose(made).axes["train"].state != "diverged"


def test_a_schedule_that_only_begins_to_move_is_on_its_way() -> None:
    late = np.r_[np.full(70, 0.1), 0.1 * np.cos(np.linspace(0.1, 0.5, 10))]
    assert diagnose(lr_only(late)).cause == "lr_moves"
    noisy = np.full(80, 0.1) * (1 + 1e-9 * np.random.default_rng(0).normal(size=80))
    assert diagnose(lr_only(noisy)).converged is True


def test_an_lr_that_is_written_now_and_then_makes_segments_too() -> None:
    lr = np.full(100, np.nan)
    lr[::5] = np.repeat([0.1, 0.01], [14, 6])
    assert phases(lr_only(lr)).starts == (0, 70)


def test_a_sudden_loss_of_accuracy_is_catastrophic_without_the_single_step_column() -> None:
    acc = curve((20, 0.2, 0.38), (20, 0.16, 0.15))
    made = table(curve((20, 2.1, 1.4), (20, 0.6, 0.3)), acc, noise=0.0,
                 test=curve((20, 2.1, 1.6), (20, 4.0, 4.0)),
                 train_robust_acc=curve((20, 0.25, 0.45), (20, 0.8, 0.85)),
                 test_fgsm_acc=np.full(40, np.nan))  # fmt: skip
    assert diagnose(made).axes["held_out"].state == "catastrophic_overfitting"


def test_val_speaks_where_test_is_measured_at_the_end_alone() -> None:
    made = settled()
    for what in ("loss", "acc"):
        made.columns[f"val_robust_{what}"] = made.columns[f"test_robust_{what}"].copy()
        made.columns[f"test_robust_{what}"][:-1] = np.nan
    assert diagnose(made).axes["held_out"].state == "settled"


def test_what_was_measured_long_ago_says_nothing_of_today() -> None:
    made = settled(100)
    for name in ("test_robust_acc", "test_robust_loss"):
        made.columns[name][60:] = np.nan
    verdict = diagnose(made)
    assert verdict.converged is None
    assert verdict.headline == "cannot tell: held-out performance was last measured in epoch 60"


def test_losses_alone_do_not_speak_of_accuracies() -> None:
    made = settled(test_robust_acc=np.full(80, np.nan))
    assert diagnose(made).headline == (
        "cannot tell: neither test_robust_acc nor val_robust_acc was measured"
    )
    noisy = settled(test_robust_acc=np.full(80, np.nan), test_robust_loss=np.r_[
        np.random.default_rng(0).normal(1.5, 0.2, 80)])  # fmt: skip
    assert diagnose(noisy).axes["held_out"].rule == "the trend of loss spans two answers"
