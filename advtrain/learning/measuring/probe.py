"""What the training attack does to a few fixed training images, for the verdict's inner axis."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from advtrain.config.objectives import Fgsm, Free, resolve_alpha
from advtrain.config.schema import Config
from advtrain.learning.attacks.pgd import ascend, judge, mode, own_start, strongest
from advtrain.learning.attacks.stationarity import fosc, gradients, reach
from advtrain.learning.data.images import Images, in_turn
from advtrain.learning.objectives.gradalign import alignment
from advtrain.learning.objectives.trades import probabilities
from advtrain.records import EpochRecord

IMAGES = 64
_CONFIDENT = 0.9  # probability of the label, below which an example is of low confidence
_VANISHED = 1e-4  # nats that the linearised loss can move across the ball


def probe(model: nn.Module, images: Images, config: Config, record: EpochRecord) -> None:
    """Fill the record's `probe_*` columns, fosc_train and grad_alignment; one batch of images.

    The training attack runs at full eps, in eval mode and from starts of each example's own; it is
    then carried on to twice its steps, and the evaluation's attack runs beside it. The losses are
    of what the training attack ascends: cross-entropy, KL for `trades`. `free` has no attack that
    could be repeated: one step of its size from a random point stands in.
    """
    attack = config.attack
    (x, y, ids), *_ = images.batches(in_turn(len(images), len(images)))
    climb = partial(ascend, model, x, norm=attack.norm, eps=attack.eps)
    with mode(model, "eval"):
        target = probabilities(model, x) if config.objective.name == "trades" else y
        starts = [own_start(x, ids, attack.norm, attack.eps, i) for i in range(attack.restarts)]
        x_adv, further = _trained_against(model, climb, (x, target, ids), starts, config)
        steps = config.evaluation.steps
        strong = climb(y, starts[0], alpha=2.5 * attack.eps / steps, steps=steps)
        pgd = judge(model, strong, y)[1]
        clean, robust = judge(model, x, target), judge(model, x_adv, target)
        if further is not None:
            doubled = judge(model, further, target)[0]
            record.probe_robust_loss_2x = float((doubled - _least(clean[0], target)).mean())
        grad, logits = gradients(model, x_adv, target)
        cosine = alignment(gradients(model, x, y)[0], gradients(model, starts[0], y)[0])
        hit = judge(model, x_adv, y)[1]
    if len(cosine):
        record.grad_alignment = float(cosine.mean())
    record.fosc_train = float(fosc(x_adv, x, grad, norm=attack.norm, eps=attack.eps).mean())
    record.probe_clean_loss, record.probe_robust_loss = (
        float((loss - _least(clean[0], target)).mean()) for loss in (clean[0], robust[0])
    )
    record.probe_robust_acc, record.probe_pgd_acc = (
        float(hits.float().mean()) for hits in (hit, pgd)
    )
    confidence = logits.softmax(1).gather(1, y[:, None])[:, 0]
    unsure = confidence < _CONFIDENT
    if unsure.any():
        still = reach(grad, norm=attack.norm, eps=attack.eps)[unsure] < _VANISHED
        record.probe_vanished = float(still.float().mean())


def _trained_against(
    model: nn.Module,
    climb: Callable[..., Tensor],
    examples: tuple[Tensor, Tensor, Tensor],
    starts: list[Tensor],
    config: Config,
) -> tuple[Tensor, Tensor | None]:
    """The examples under the training attack, and carried on to twice its steps if it has many."""
    (x, target, ids), attack, keys = examples, config.attack, config.objective
    if isinstance(keys, Fgsm | Free):
        size = resolve_alpha(keys.step if isinstance(keys, Fgsm) else keys.alpha, attack.eps, 1)
        start = x if isinstance(keys, Fgsm) and keys.start == "zero" else starts[0]
        if isinstance(keys, Fgsm) and keys.start == "noise":
            wide = own_start(x, ids, attack.norm, keys.noise * attack.eps, 0)
            return ascend(model, wide, target, wide, norm=attack.norm, eps=size, alpha=size,
                          steps=1), None  # fmt: skip
        return climb(target, start, alpha=size, steps=1), None
    soft = target.dim() > 1  # where the divergence at the image itself has no slope
    zero = starts[0] * 0.01 + x * 0.99 if soft else x
    alpha, steps = attack.step_size, attack.steps
    found = (
        climb(target, zero if attack.start == "zero" else start, alpha=alpha, steps=steps)
        for start in starts
    )
    x_adv, *_ = strongest(model, found, target)
    return x_adv, climb(target, x_adv, alpha=alpha, steps=steps)


def _least(clean: Tensor, target: Tensor) -> Tensor:
    """What KL leaves out of a cross-entropy: the entropy of the probabilities aimed at."""
    return clean if target.dim() > 1 else torch.zeros_like(clean)
