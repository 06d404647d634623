"""Which epoch is the best on validation."""

from __future__ import annotations

from advtrain.records import Progress


def test_accuracy_decides_which_epoch_is_best_and_the_loss_between_equals() -> None:
    so_far = Progress(best_epoch=3, best_acc=0.5, best_loss=1.0)
    assert so_far.is_best(0.6, 2.0) and so_far.is_best(0.5, 0.9)
    assert not so_far.is_best(0.4, 0.5) and not so_far.is_best(0.5, 1.0)
