"""What is measured after each epoch, and what validation decides: the best epoch, stopping."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from advtrain.learning.attacks.evaluating import EvaluatingAttack
from advtrain.learning.data.images import Images
from advtrain.learning.data.splits import Data
from advtrain.learning.data.stratify import stratified
from advtrain.learning.measuring.probe import IMAGES, probe
from advtrain.learning.measuring.score import Score, clean_score, evaluate
from advtrain.learning.session import Session
from advtrain.records import EpochRecord, SplitScore

_TRAIN_IMAGES = 1000  # of the training set, for its clean loss


@dataclass(frozen=True)
class Panel:
    """The fixed images that every epoch is measured on."""

    train: Images
    probe: Images
    val: Images | None
    test: Images


def make_panel(data: Data, size: int) -> Panel:
    """The images for `evaluation.size`, chosen without regard to the run's seed."""

    def part(images: Images, count: int) -> Images:
        if count >= len(images):
            return images
        return images.take(stratified(images.classes_of, count, "evaluation"))

    train = part(data.train, _TRAIN_IMAGES)
    return Panel(
        train=train,
        probe=part(train, IMAGES),
        val=part(data.val, size) if data.val is not None else None,
        test=part(data.test, size),
    )


def measure(session: Session, panel: Panel, record: EpochRecord) -> None:
    """Fill the record's evaluation columns; update the progress from those of validation.

    The last epoch is measured whatever `evaluation.every` says. Averaged weights have columns of
    their own and decide nothing. The processes of a group share the images and find the same.
    """
    config, group = session.config, session.group
    record.train_clean_loss, record.train_clean_acc = clean_score(session.model, panel.train, group)
    if not session.done and record.epoch % config.evaluation.every:
        return
    score = partial(evaluate, attack=EvaluatingAttack.of(config), group=group)
    if panel.val is not None:
        _into(record, "val", score(session.model, panel.val))
        validate(session, record)
    more = config.evaluation.diagnostics
    _into(record, "test", score(session.model, panel.test, fgsm=True, doubled=more))
    if more and config.objective.name != "standard":
        probe(session.model, panel.probe, config, record)
    if session.average is not None:
        _into(record, "ema_test", score(session.average, panel.test))
        if panel.val is not None:
            _into(record, "ema_val", score(session.average, panel.val))


def validate(session: Session, record: EpochRecord) -> None:
    """Note whether this epoch is the best on validation; stop if none has been for too long."""
    config, progress = session.config, session.progress
    kind = "clean" if config.objective.name == "standard" else "robust"
    acc, loss = (getattr(record, f"val_{kind}_{what}") for what in ("acc", "loss"))
    if progress.is_best(acc, loss):
        progress.best_epoch, progress.best_acc, progress.best_loss = record.epoch, acc, loss
    patience = config.training.early_stopping
    since = max(progress.best_epoch, progress.carried)
    if patience and not session.done and record.epoch - since >= patience:
        progress.stopped = "early_stopping"


def measure_at_the_end(session: Session) -> list[SplitScore]:
    """The last weights, and their average, on all images of each held-out split."""
    attack, data = EvaluatingAttack.of(session.config), session.data
    splits = [(name, part) for name, part in (("val", data.val), ("test", data.test)) if part]
    found = []
    for prefix, model in (("", session.model), ("ema_", session.average)):
        for split, images in splits:
            if model is None:
                continue
            score = evaluate(model, images, attack, group=session.group)
            found.append(
                SplitScore(f"{prefix}{split}", len(images), score.clean_loss, score.clean_acc,
                           score.robust_loss, score.robust_acc)
            )  # fmt: skip
    return found


def curve(session: Session) -> list[tuple[float, float, float, int]]:
    """For each of `evaluation.eps`: eps, robust loss, robust accuracy, number of test images."""
    images, points = session.data.test, []
    for eps in session.config.evaluation.eps:
        attack = EvaluatingAttack.of(session.config, eps)
        score = evaluate(session.model, images, attack, group=session.group)
        points.append((eps, score.robust_loss, score.robust_acc, len(images)))
    return points


def _into(record: EpochRecord, split: str, found: Score) -> None:
    for name, value in vars(found).items():
        if value is not None:
            setattr(record, f"fosc_{split}" if name == "fosc" else f"{split}_{name}", value)


@torch.no_grad()
def weight_norm(model: nn.Module) -> float:
    """l2 norm of all parameters together."""
    return float(torch.nn.utils.get_total_norm(model.parameters()))
