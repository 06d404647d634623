"""The training loop: adversarial examples of each batch, one optimizer step, one record an epoch.

It yields records and owns no directory: saving, showing and judging them is the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn

from advtrain.learning.attacks.pgd import weighted
from advtrain.learning.epoch import Epoch
from advtrain.learning.measuring.measure import make_panel, measure
from advtrain.learning.measuring.tally import Descent
from advtrain.learning.objectives import OBJECTIVES
from advtrain.learning.objectives.awp import perturbed
from advtrain.learning.objectives.batch import Batch
from advtrain.learning.session import Session
from advtrain.records import EpochRecord


class Hooks:
    """What the loop calls on its way. Each does nothing here; who saves or watches overrides."""

    def under_way(self) -> AbstractContextManager[None]:
        """Entered while the batches of an epoch are trained."""
        return nullcontext()

    def after_batch(self, epoch: Epoch) -> None:
        """A batch is done, in every process of a group; an exception raised here ends the run."""

    def hopeless(self, record: EpochRecord) -> str:
        """Why the run should end after this epoch, or nothing. Only the leader's is heeded."""
        return ""


def train_epochs(session: Session, hooks: Hooks) -> Iterator[EpochRecord]:
    """Train from the session's progress (updated in place) to its last epoch, a record for each.

    Ends early, with the reason in `progress.stopped`, on a loss or weight that is not finite, on
    `training.early_stopping`, and where a hook calls the run hopeless. Every process of a group
    comes to the same records.
    """
    panel = make_panel(session.data, session.config.evaluation.size)
    while not session.done:
        began = time.perf_counter() - (session.position.seconds if session.position else 0)
        with hooks.under_way():
            record = train_epoch(session, hooks)
        if record.finite:
            measure(session, panel, record)
            if not session.done and (reason := session.group.agreed(hooks.hopeless(record))):
                session.progress.stopped = reason
                measure(session, panel, record)  # the last row, so with every column
        else:
            session.progress.stopped = "nonfinite"
        record.seconds = time.perf_counter() - began
        yield record


def train_epoch(session: Session, hooks: Hooks) -> EpochRecord:
    """One pass over the training images; it ends at the first batch that is not finite."""
    session.fast_model.train()
    epoch = Epoch(session)
    for batch in epoch.batches():
        for x_adv in epoch.examples(batch):
            epoch.count(batch, descend(session, batch, x_adv, epoch.lr, epoch.elapsed))
        if epoch.not_finite():
            break
        hooks.after_batch(epoch)
    return epoch.record()


def descend(session: Session, batch: Batch, x_adv: Tensor, lr: float, epochs: float) -> Descent:
    """One step of the optimizer down the batch's loss, `epochs` after the beginning.

    With `awp` the gradient is taken at perturbed weights.
    """
    loss_of, optimizer = OBJECTIVES[session.config.objective.name].loss, session.optimizer

    def climbed() -> Tensor:
        return weighted(loss_of(session.fast_model, batch, x_adv).loss, batch.weight)

    with weights_to_descend_at(session, climbed, epochs):
        loss, robust_logits = loss_of(session.synced_model, batch, x_adv)
        optimizer.zero_grad()
        torch.autograd.backward(weighted(loss, batch.weight))
    grad_norm = clip(session.model, session.config.optimizer.clip_norm)
    for param_group in optimizer.param_groups:
        param_group["lr"] = lr
    optimizer.step()
    session.group.agree_buffers(session.model)
    if session.average is not None:
        session.average.update_parameters(session.model)
    return Descent(loss, robust_logits, grad_norm)


def weights_to_descend_at(
    session: Session, loss: Callable[[], Tensor], epochs: float
) -> AbstractContextManager[None]:
    """Leave the weights as they are, or perturb them meanwhile by `awp` after its warm-up."""
    keys = session.config.objective
    size = getattr(keys, "awp", 0.0)
    if not size or epochs < getattr(keys, "awp_warmup", 0.0):
        return nullcontext()
    return perturbed(session.fast_model, loss, size, session.group)


def clip(model: nn.Module, limit: float | None) -> Tensor:
    """The gradient's l2 norm; scales the gradient down to `limit` if that is given."""
    parameters = [p for p in model.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if limit is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm
