"""What is measured after each epoch, and what validation decides: the best epoch, stopping."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from advtrain.config.schema import Config
from advtrain.learning.data.images import Images
from advtrain.learning.data.splits import Data
from advtrain.learning.data.stratify import stratified
from advtrain.learning.distributed.group import ALONE, Group
from advtrain.learning.measuring.probe import IMAGES, probe
from advtrain.learning.measuring.score import Score, clean_score, evaluate
from advtrain.records import EpochRecord, Progress

_TRAIN_IMAGES = 1000  # of the training set, for its clean loss


@dataclass(frozen=True)
class Panel:
    """The fixed images that every epoch is measured on, and the whole splits for the last row."""

    train: Images
    probe: Images
    val: Images | None
    test: Images
    whole_val: Images | None
    whole_test: Images


def panel(data: Data, size: int) -> Panel:
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
        whole_val=data.val,
        whole_test=data.test,
    )


def measure(
    model: nn.Module,
    on: Panel,
    config: Config,
    record: EpochRecord,
    progress: Progress,
    average: nn.Module | None = None,
    group: Group = ALONE,
) -> None:
    """Fill the record's evaluation columns; update `progress` from those of validation.

    A run that `progress.stopped` says is over is measured as in its last row. `average` has columns
    of its own and decides nothing. The processes of a group share the images and find the same.
    """
    record.train_clean_loss, record.train_clean_acc = clean_score(model, on.train, group)
    last = record.epoch == config.training.epochs or bool(progress.stopped)
    if not last and record.epoch % config.evaluation.every:
        return
    if on.val is not None:
        _into(record, "val", score(model, on.val, config, group=group))
        standard = config.objective.name == "standard"
        acc = record.val_clean_acc if standard else record.val_robust_acc
        loss = record.val_clean_loss if standard else record.val_robust_loss
        assert acc is not None and loss is not None
        if progress.is_best(acc, loss):
            progress.best_epoch, progress.best_acc, progress.best_loss = record.epoch, acc, loss
        patience = config.training.early_stopping
        since = max(progress.best_epoch, progress.carried)
        if patience and not last and record.epoch - since >= patience:
            progress.stopped, last = "early_stopping", True
        # The best epoch is chosen on the same images throughout; the last row shows all.
        if last and on.whole_val is not None and len(on.whole_val) > len(on.val):
            _into(record, "val", score(model, on.whole_val, config, group=group))
    test, more = on.whole_test if last else on.test, config.evaluation.diagnostics
    _into(record, "test", score(model, test, config, fgsm=True, doubled=more, group=group))
    if more and config.objective.name != "standard":
        probe(model, on.probe, config, record)
    if average is not None:
        _into(record, "ema_test", score(average, test, config, group=group))
        if on.val is not None and on.whole_val is not None:
            val = on.whole_val if last else on.val
            _into(record, "ema_val", score(average, val, config, group=group))


def score(
    model: nn.Module,
    images: Images,
    config: Config,
    *,
    eps: float | None = None,
    fgsm: bool = False,
    doubled: bool = False,
    group: Group = ALONE,
) -> Score:
    """The images' score under the config's threat model, or the same norm at another eps."""
    return evaluate(
        model,
        images,
        norm=config.attack.norm,
        eps=config.attack.eps if eps is None else eps,
        steps=config.evaluation.steps,
        restarts=config.attack.restarts,
        fgsm=fgsm,
        doubled=doubled,
        group=group,
    )


def curve(
    model: nn.Module, images: Images, config: Config, group: Group = ALONE
) -> list[tuple[float, float, float, int]]:
    """For each of `evaluation.eps`: eps, robust loss, robust accuracy, number of images."""
    radii = config.evaluation.eps
    scores = [(eps, score(model, images, config, eps=eps, group=group)) for eps in radii]
    return [(eps, s.robust_loss, s.robust_acc, len(images)) for eps, s in scores]


def _into(record: EpochRecord, split: str, found: Score) -> None:
    for name, value in vars(found).items():
        if value is not None:
            setattr(record, f"fosc_{split}" if name == "fosc" else f"{split}_{name}", value)


@torch.no_grad()
def weight_norm(model: nn.Module) -> float:
    """l2 norm of all parameters together."""
    return float(torch.nn.utils.get_total_norm(model.parameters()))
