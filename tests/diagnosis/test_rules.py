"""Each threshold of the verdict by its number, on noiseless curves just inside and outside it.

The numbers are those of docs/verdicts.md, written out: a rule that moves has to move here, too.
"""

from __future__ import annotations

import numpy as np
import pytest

from advtrain.diagnosis.segments import phases
from advtrain.diagnosis.table import Axis, Labels, Table
from advtrain.diagnosis.verdict import _within_band, diagnose

N, WINDOW = 60, 40  # epochs of the one segment, and the last two thirds of it
LN10 = float(np.log(10))


def ramp(start: float, change: float) -> np.ndarray:
    """Flat, then a straight line of this change over the window."""
    return start + change * np.r_[np.zeros(N - WINDOW), np.linspace(0, 1, WINDOW)]


def level(value: float, last: float | None = None, epochs: int = 0) -> np.ndarray:
    """Constant, but for another value in the last epochs."""
    values = np.full(N, value)
    if last is not None:
        values[N - epochs :] = last
    return values


def states(classes: int = 10, images: int = 10_000, **columns: np.ndarray) -> dict[str, str]:
    """Each axis' state of a training that is in order but for these columns."""
    n = len(next(iter(columns.values())))
    usual = {
        "lr": np.full(n, 0.1),
        "train_robust_loss": np.r_[2.31, np.full(n - 1, 1.0)],
        "train_robust_acc": np.full(n, 0.6),
        "test_robust_acc": np.full(n, 0.5),
        "test_robust_loss": np.full(n, 1.3),
        "test_fgsm_acc": np.full(n, 0.55),
        "test_clean_acc": np.full(n, 0.8),
        "test_clean_loss": np.full(n, 0.5),
        "test_robust_loss_2x": np.full(n, 1.31),
    }
    kept = {name: values for name, values in (usual | columns).items() if len(values)}
    table = Table(np.arange(1, n + 1), kept, labels=Labels.balanced(classes), images=images)
    return {name: axis.state for name, axis in diagnose(table).axes.items()}


def test_a_training_in_order_is_in_order_on_every_axis() -> None:
    found = states(lr=np.full(N, 0.1))
    assert found == {
        "inner": "solved", "train": "flat", "held_out": "settled", "level": "above_chance"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("start", "change", "state"),
    [(1.0, -0.019, "flat"), (1.0, -0.021, "descending"), (1.0, 0.021, "rising"),
     (4.0, -0.038, "flat"), (4.0, -0.042, "descending"), (0.3, -0.019, "flat")],
)  # fmt: skip
def test_train_loss_matters_from_1_percent_or_02_nats(start, change, state) -> None:
    assert states(train_robust_loss=ramp(start, change))["train"] == state


@pytest.mark.parametrize(
    ("images", "change", "state"),
    [(10_000, 0.009, "settled"), (10_000, 0.011, "improving"), (10_000, -0.011, "worsening"),
     (360, 0.022, "settled"), (360, 0.025, "improving"), (360, -0.025, "worsening")],
)  # fmt: skip
def test_accuracy_matters_from_a_point_or_2_paired_standard_errors(images, change, state) -> None:
    acc = ramp(0.5 - change / 2, change)  # half-way through the window at .5
    assert states(test_robust_acc=acc, images=images)["held_out"] == state


@pytest.mark.parametrize(
    ("change", "state"), [(-0.039, "settled"), (-0.041, "improving"), (0.041, "worsening")]
)
def test_test_loss_matters_from_2_percent(change, state) -> None:
    loss = ramp(2.0 - change / 2, change)
    assert states(test_robust_loss=loss, test_robust_acc=np.array([]))["held_out"] == state


@pytest.mark.parametrize(
    ("loss", "acc", "epochs", "classes", "stuck"),
    [(0.981, 0.149, 5, 10, True), (0.979, 0.149, 5, 10, False), (0.981, 0.151, 5, 10, False),
     (0.981, 0.149, 4, 10, False), (0.981, 0.0149, 5, 100, True), (0.981, 0.0151, 5, 100, False)],
)  # fmt: skip
def test_stuck_is_98_percent_of_the_entropy_and_5_points_or_half_of_the_majority(
    loss, acc, epochs, classes, stuck
) -> None:
    chance = float(np.log(classes))
    found = states(classes, train_robust_loss=level(0.5 * chance, loss * chance, epochs),
                   train_robust_acc=level(0.6, acc, epochs))  # fmt: skip
    assert (found["train"] == "stuck") == stuck


@pytest.mark.parametrize(
    ("low", "last", "epochs", "diverged"),
    [(1.0, 1.21, 3, True), (1.0, 1.19, 3, False), (1.0, 1.21, 2, False),
     (4.0, 4.41, 3, True), (4.0, 4.39, 3, False)],
)  # fmt: skip
def test_diverged_is_2_tenths_of_a_nat_or_10_percent_for_3_epochs(
    low, last, epochs, diverged
) -> None:
    found = states(train_robust_loss=level(low, last, epochs), classes=1000)
    assert (found["train"] == "diverged") == diverged


@pytest.mark.parametrize(("swing", "state"), [(0.11, "oscillating"), (0.09, "flat")])
def test_oscillating_is_a_tenth_of_the_descent_from_epoch_to_epoch(swing, state) -> None:
    loss = LN10 - 1 + swing / 2 * (-1) ** np.arange(N)
    assert states(train_robust_loss=loss)["train"] == state


@pytest.mark.parametrize(
    ("lost", "rise", "trained", "best", "overfit"),
    [(0.021, 0.051, -0.1, 0.5, True), (0.019, 0.051, -0.1, 0.5, False),
     (0.021, 0.049, -0.1, 0.5, False), (0.021, 0.051, 0.0, 0.5, False),
     (0.021, 0.051, -0.1, 0.199, False), (0.021, 0.051, -0.1, 0.201, True)],
)  # fmt: skip
def test_robust_overfitting_is_2_points_and_5_percent(lost, rise, trained, best, overfit) -> None:
    found = states(
        test_robust_acc=level(best, best - lost, 20),
        test_robust_loss=level(2.0, 2.0 * (1 + rise), 20),
        train_robust_loss=level(1.0, 1.0 + trained, 20),
    )
    assert (found["held_out"] == "robust_overfitting") == overfit


@pytest.mark.parametrize(("epochs", "overfit"), [(8, True), (7, False)])
def test_robust_overfitting_lasts_for_5_means_of_5_epochs(epochs, overfit) -> None:
    found = states(
        test_robust_acc=level(0.5, 0.47, epochs),
        test_robust_loss=level(2.0, 2.2, epochs),
        train_robust_loss=level(1.0, 0.9, epochs),
    )
    # Of the five last means the first has four low epochs in it (2.4 points), or three (1.8).
    assert (found["held_out"] == "robust_overfitting") == overfit


@pytest.mark.parametrize(
    ("multi", "single", "broke"),
    [(0.24, 0.45, True), (0.26, 0.9, False), (0.24, 0.43, False)],
)
def test_catastrophic_overfitting_is_half_the_best_and_20_points(multi, single, broke) -> None:
    found = states(test_robust_acc=level(0.5, multi, 5), test_fgsm_acc=level(0.55, single, 5))
    assert (found["held_out"] == "catastrophic_overfitting") == broke


@pytest.mark.parametrize(("last", "state"), [(0.149, "collapsed"), (0.156, "worsening")])
def test_collapsed_is_back_at_chance_for_3_epochs(last, state) -> None:
    acc = np.r_[ramp(0.5, 0)[:57], np.full(3, last)]
    found = states(test_robust_acc=acc, test_fgsm_acc=acc)
    assert (found["held_out"] == "collapsed") == (state == "collapsed")


@pytest.mark.parametrize(
    ("more", "state"), [(0.079, "solved"), (0.081, "weak"), (-0.081, "weak"), (-0.079, "solved")]
)
def test_weak_is_a_tenth_of_what_the_attack_gains(more, state) -> None:
    found = states(test_robust_loss=level(1.3), test_clean_loss=level(0.5),
                   test_robust_loss_2x=level(1.3 + more))  # fmt: skip
    assert found["inner"] == state


@pytest.mark.parametrize(("gain", "state"), [(0.0099, "not_measured"), (0.0101, "solved")])
def test_below_a_hundredth_of_a_nat_there_is_nothing_to_compare(gain, state) -> None:
    found = states(test_robust_loss=level(0.5 + gain), test_clean_loss=level(0.5),
                   test_robust_loss_2x=level(0.5 + gain))  # fmt: skip
    assert found["inner"] == state


@pytest.mark.parametrize(
    ("trained", "strong", "broken"),
    [(0.6, 0.29, True), (0.6, 0.31, False), (0.3, 0.09, True), (0.3, 0.11, False)],
)
def test_broken_is_half_of_what_the_training_attack_sees_and_20_points(
    trained, strong, broken
) -> None:
    found = states(probe_robust_acc=level(trained), probe_pgd_acc=level(strong))
    assert (found["inner"] == "broken") == broken


@pytest.mark.parametrize(("share", "broken"), [(0.51, True), (0.5, False)])
def test_broken_is_gradients_that_vanish_on_most_unsure_examples(share, broken) -> None:
    assert (states(probe_vanished=level(share))["inner"] == "broken") == broken


@pytest.mark.parametrize(
    ("epochs", "jump", "short"),
    [(7, 0, True), (8, 0, False), (60, 4, True), (60, 5, False)],
)
def test_too_short_is_8_epochs_or_5_since_the_last_jump(epochs, jump, short) -> None:
    lr = np.full(epochs, 0.1)
    lr[epochs - jump :] = 0.05
    assert (states(lr=lr)["train"] == "too_short") == short


@pytest.mark.parametrize(
    ("lr", "starts"),
    [([1.0] * 5 + [1.51] * 5, (0, 5)), ([1.0] * 5 + [1.49] * 5, (0,)),
     ([1.0] * 5 + [0.66] * 5, (0, 5)), ([1.0] * 4 + [3.0] * 6, (0,))],
)  # fmt: skip
def test_a_segment_begins_at_half_as_much_lr_again_after_5_equal_epochs(lr, starts) -> None:
    assert phases(Table(np.arange(10), {"lr": np.array(lr)})).starts == starts


@pytest.mark.parametrize(
    ("eps", "starts"),
    [([0.1] * 5 + [0.11] * 5, (0, 5)), ([0.0, 0.1, 0.2, 0.3] + [0.3] * 6, (0, 3)),
     ([0.1, 0.1, 0.2, 0.2, 0.3, 0.3] + [np.nan] * 4, (0, 2, 4)),
     (np.linspace(0, 0.3, 10), (0, 9))],
)  # fmt: skip
def test_a_segment_begins_where_eps_arrives(eps, starts) -> None:
    assert phases(Table(np.arange(10), {"eps": np.array(eps)})).starts == starts


@pytest.mark.parametrize(("last", "spent"), [(0.002, True), (0.0021, False)])
def test_lr_is_spent_at_2_percent_of_its_peak(last, spent) -> None:
    lr = np.r_[np.full(5, 0.1), np.full(5, last)]
    assert phases(Table(np.arange(10), {"lr": lr})).exhausted == spent


@pytest.mark.parametrize(
    ("low", "high", "inside"), [(-0.03, 0.03, True), (-0.031, 0.0, False), (0.0, 0.031, False)]
)
def test_the_practical_question_is_settled_within_3_points(low, high, inside) -> None:
    assert _within_band(Axis("unresolved", "", {"low": low, "high": high})) == inside


@pytest.mark.parametrize(
    ("acc", "images", "state"),
    [(0.151, 10**6, "above_chance"), (0.149, 10**6, "at_chance"), (0.16, 360, "unresolved")],
)
def test_chance_is_5_points_above_the_majority(acc, images, state) -> None:
    assert states(test_robust_acc=level(acc), images=images)["level"] == state
