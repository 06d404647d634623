"""What the training attack does to a few fixed training images, for the verdict's inner axis."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from advtrain.config.objectives import Fgsm, Free, resolve_alpha
from advtrain.config.schema import Config
from advtrain.learning.attacks.ball import Ascent, Ball
from advtrain.learning.attacks.evaluating import EvaluatingAttack, own_start, strongest
from advtrain.learning.attacks.pgd import ascend, judge, mode, unprojected
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
    attack = EvaluatingAttack.of(config)
    ball = attack.ball
    (x, y, ids), *_ = images.batches(in_turn(len(images), len(images)))
    with mode(model, "eval"):
        target = probabilities(model, x) if config.objective.name == "trades" else y
        starts = [own_start(x, ids, ball, i) for i in range(attack.restarts)]
        x_adv, further = _trained_against(model, (x, target, ids), starts, config)
        strong = ascend(model, x, y, starts[0], attack.ascent)
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
    record.fosc_train = float(fosc(x_adv, x, grad, ball).mean())
    record.probe_clean_loss, record.probe_robust_loss = (
        float((loss - _least(clean[0], target)).mean()) for loss in (clean[0], robust[0])
    )
    record.probe_robust_acc, record.probe_pgd_acc = (
        float(hits.float().mean()) for hits in (hit, pgd)
    )
    confidence = logits.softmax(1).gather(1, y[:, None])[:, 0]
    unsure = confidence < _CONFIDENT
    if unsure.any():
        still = reach(grad, ball)[unsure] < _VANISHED
        record.probe_vanished = float(still.float().mean())


def _trained_against(
    model: nn.Module,
    examples: tuple[Tensor, Tensor, Tensor],
    starts: list[Tensor],
    config: Config,
) -> tuple[Tensor, Tensor | None]:
    """The examples under the training attack, and carried on to twice its steps if it has many."""
    (x, target, ids), attack, keys = examples, config.attack, config.objective
    ball = Ball(attack.norm, attack.eps)
    if isinstance(keys, Fgsm | Free):
        size = resolve_alpha(keys.step if isinstance(keys, Fgsm) else keys.alpha, attack.eps, 1)
        start = x if isinstance(keys, Fgsm) and keys.start == "zero" else starts[0]
        if isinstance(keys, Fgsm) and keys.start == "noise":
            wide = own_start(x, ids, Ball(attack.norm, keys.noise * attack.eps), 0)
            return ascend(model, wide, target, wide, unprojected(attack.norm, size)), None
        return ascend(model, x, target, start, Ascent(ball, size, 1)), None
    soft = target.dim() > 1  # where the divergence at the image itself has no slope
    zero = starts[0] * 0.01 + x * 0.99 if soft else x
    ascent = Ascent(ball, attack.step_size, attack.steps)
    begins = (zero if attack.start == "zero" else start for start in starts)
    ends = (ascend(model, x, target, begin, ascent) for begin in begins)
    x_adv, *_ = strongest(model, ends, target)
    return x_adv, ascend(model, x, target, x_adv, ascent)


def _least(clean: Tensor, target: Tensor) -> Tensor:
    """What KL leaves out of a cross-entropy: the entropy of the probabilities aimed at."""
    return clean if target.dim() > 1 else torch.zeros_like(clean)
