"""What the training attack does to a few fixed training images, for the verdict's inner axis."""

from __future__ import annotations

from functools import partial

from torch import nn

from advtrain.config.schema import Config
from advtrain.learning.attack import ascend, judge, mode, strongest
from advtrain.learning.data.images import Images, in_turn
from advtrain.learning.evaluate import own_start
from advtrain.learning.stationarity import fosc, gradients, reach
from advtrain.records import EpochRecord

IMAGES = 64
_CONFIDENT = 0.9  # probability of the label, below which an example is of low confidence
_VANISHED = 1e-4  # nats that the linearised loss can move across the ball


def probe(model: nn.Module, images: Images, config: Config, record: EpochRecord) -> None:
    """Fill the record's `probe_*` columns and fosc_train; images are few, so one batch.

    The training attack runs at full eps, in eval mode and from starts of each example's own; it is
    then carried on to twice its steps, and the evaluation's attack runs beside it.
    """
    attack = config.attack
    (x, y, ids), *_ = images.batches(in_turn(len(images), len(images)))
    climb = partial(ascend, model, x, y, norm=attack.norm, eps=attack.eps)
    with mode(model, "eval"):
        starts = [own_start(x, ids, attack.norm, attack.eps, i) for i in range(attack.restarts)]
        found = (
            climb(x if attack.start == "zero" else start, alpha=attack.step_size,
                  steps=attack.steps)
            for start in starts
        )  # fmt: skip
        x_adv, *_ = strongest(model, found, y)
        further = climb(x_adv, alpha=attack.step_size, steps=attack.steps)
        steps = config.evaluation.steps
        strong = climb(starts[0], alpha=2.5 * attack.eps / steps, steps=steps)
        clean, robust, doubled, pgd = (
            judge(model, each, y) for each in (x, x_adv, further, strong)
        )
        grad, logits = gradients(model, x_adv, y)
    record.fosc_train = float(fosc(x_adv, x, grad, norm=attack.norm, eps=attack.eps).mean())
    record.probe_clean_loss, record.probe_robust_loss = (
        float(clean[0].mean()),
        float(robust[0].mean()),
    )
    record.probe_robust_loss_2x = float(doubled[0].mean())
    record.probe_robust_acc, record.probe_pgd_acc = (
        float(hits.float().mean()) for hits in (robust[1], pgd[1])
    )
    confidence = logits.softmax(1).gather(1, y[:, None])[:, 0]
    unsure = confidence < _CONFIDENT
    if unsure.any():
        still = reach(grad, norm=attack.norm, eps=attack.eps)[unsure] < _VANISHED
        record.probe_vanished = float(still.float().mean())
