"""The training loop: adversarial examples of each batch, one optimizer step, one record an epoch.

It yields records and owns no directory: saving, showing and judging them is the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from advtrain.config.objectives import Objective
from advtrain.config.optimization import Schedule
from advtrain.config.schema import Config, Training
from advtrain.learning.attacks.pgd import weighted
from advtrain.learning.data.augment import crop_and_flip
from advtrain.learning.data.splits import Data
from advtrain.learning.distributed.group import ALONE, Group
from advtrain.learning.measuring.measure import measure, panel, weight_norm
from advtrain.learning.measuring.tally import Tally
from advtrain.learning.objectives import OBJECTIVES
from advtrain.learning.objectives.awp import perturbed
from advtrain.learning.objectives.batch import Batch, Carry
from advtrain.learning.order import batches_of
from advtrain.learning.schedule import alpha_factor, eps_factor, lr_factor
from advtrain.learning.streams import Draws, Source, seed_global, seed_of, stream
from advtrain.records import EpochRecord, Position, Progress

# Batches done, batches in the epoch, and what gives all that going on from there needs: to be
# called by all processes of a group or none.
Tick = Callable[[int, int, Callable[[], Position]], None]


def train_epochs(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Data,
    config: Config,
    progress: Progress,
    tick: Tick = lambda *_: None,
    *,
    position: Position | None = None,
    under_way: Callable[[], AbstractContextManager[None]] = nullcontext,
    average: AveragedModel | None = None,
    hopeless: Callable[[EpochRecord], str] = lambda record: "",
    group: Group = ALONE,
) -> Iterator[EpochRecord]:
    """Train from `progress` (updated in place) to the config's last epoch, a record for each.

    Ends early, with the reason in `progress.stopped`, on a loss or weight that is not finite, on
    `training.early_stopping`, and where `hopeless` says why of an epoch's record. `average` is
    kept up with the weights. Random numbers and the learning rate depend on the seed, the
    epoch and the batch alone, so a run goes on from any batch's weights as if never stopped:
    `position` says from which of the first epoch. While batches are trained `under_way` is entered.
    Every process of a `group` comes to the same records; only the leader's `hopeless` is asked.
    """
    measured_on, network = panel(data, config.evaluation.size), fast(model, config.training)
    trained = group.wrap(network)
    while progress.epoch < config.training.epochs and not progress.stopped:
        began = time.perf_counter() - (position.seconds if position else 0)
        with under_way():
            record = train_epoch(
                network, optimizer, data, config, progress, tick, average, position, trained, group
            )
        position = None
        if record.finite:
            measure(model, measured_on, config, record, progress, average, group)
            last = progress.epoch == config.training.epochs or bool(progress.stopped)
            if not last and (reason := group.agreed(hopeless(record))):
                progress.stopped = reason  # now on all images
                measure(model, measured_on, config, record, progress, average, group)
        else:
            progress.stopped = "nonfinite"
        record.seconds = time.perf_counter() - began
        yield record


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Data,
    config: Config,
    progress: Progress,
    tick: Tick,
    average: AveragedModel | None = None,
    position: Position | None = None,
    trained: nn.Module | None = None,
    group: Group = ALONE,
) -> EpochRecord:
    """One pass over the training images, or what `position` leaves of it.

    Ends at the first batch that is not finite. Each process of a group takes its share of every
    batch. `trained` is the model as the group wraps it, for the passes that are descended.
    """
    trained = model if trained is None else trained
    epoch, keys = progress.epoch + 1, config.objective
    objective, replays = OBJECTIVES[keys.name], getattr(keys, "replays", 1)
    batches = batches_of(
        len(data.train), config.training.batch_size, config.seed, epoch, replays, group.size
    )
    steps, clock = len(batches) * replays, (config.schedule, config.horizon)
    start = position or Position(progress.step)
    tally = Tally(next(model.parameters()).device, group, start.sums)
    carry = Carry(None if start.delta is None else start.delta[group.share])
    lr, strength = start.lr, start.strength
    model.train()
    began = time.perf_counter() - start.seconds

    def here() -> Position:
        return Position(start.step, number + 1, time.perf_counter() - began, lr, strength,
                        tally.state(), group.whole(carry.delta))  # fmt: skip

    shares = [positions[group.share] for positions in batches[start.done :]]
    for number, (x, y, _) in enumerate(data.train.batches(shares), start.done):
        step, whole = (epoch - 1) * steps + number * replays, len(batches[number])
        strength, stride = (factor(of, clock, step, steps) for of in (eps_factor, alpha_factor))
        x, attacks = random_parts(x, config, epoch, number, whole, group)
        batch = Batch(x, y, keys, config.attack, attacks, strength, stride, carry, group, whole)

        for replay, x_adv in enumerate(objective.examples(model, batch)):
            lr = config.optimizer.lr * factor(lr_factor, clock, step + replay, steps)
            loss, robust_logits, grad_norm = descend(
                model, optimizer, batch, x_adv, config, lr, step / steps, trained
            )
            group.agree_buffers(model)
            if average is not None:
                average.update_parameters(model)
            progress.step += 1
            tally.add(loss, robust_logits, y, grad_norm, whole)

        first_bad = tally.first_bad(final=number + 1 == len(batches))
        progress.bad_batch = -(-first_bad // replays)  # it counts each replay
        if progress.bad_batch:
            break
        tick(number + 1, len(batches), here)
    progress.epoch = epoch
    record = EpochRecord(epoch, progress.step, lr=lr, eps=config.attack.eps * strength)
    tally.into(record, time.perf_counter() - began)
    record.weight_norm = weight_norm(model)
    if not record.finite and not progress.bad_batch:  # the last step made the weights so
        progress.bad_batch = len(batches)
    return record


def random_parts(
    x: Tensor, config: Config, epoch: int, number: int, whole: int, group: Group
) -> tuple[Tensor, Source]:
    """The batch's images, augmented if asked for, and what its attack draws from.

    Also begins the stream that dropout draws from, which each process has of its own.
    """
    seed, device = config.seed, x.device

    def source(purpose: str) -> Source:
        begun = stream(seed, purpose, epoch, number, device=device)
        return begun if group.size == 1 else Draws(begun, whole, group.share)

    if config.dataset.augment == "crop+flip":
        x = crop_and_flip(x, source("augment"))
    own = () if group.leads else (group.rank,)
    seed_global(seed_of(seed, "dropout", epoch, number, *own), device)
    return x, source("attack")


def descend(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    x_adv: Tensor,
    config: Config,
    lr: float,
    epochs: float,
    trained: nn.Module,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """One step down the batch's loss, `epochs` after the beginning, by the gradient at all of it.

    Loss and robust logits of the images here; the l2 norm of the gradient.
    """
    loss_of = OBJECTIVES[config.objective.name].loss

    def climbed() -> Tensor:
        return weighted(loss_of(model, batch, x_adv).loss, batch.weight)

    with weights(model, climbed, config.objective, epochs, batch.group):
        loss, robust_logits = loss_of(trained, batch, x_adv)
        optimizer.zero_grad()
        torch.autograd.backward(weighted(loss, batch.weight))
    grad_norm = clip(model, config.optimizer.clip_norm)
    for param_group in optimizer.param_groups:
        param_group["lr"] = lr
    optimizer.step()
    return loss, robust_logits, grad_norm


def fast(model: nn.Module, keys: Training) -> nn.Module:
    """The model in bf16 and compiled, if asked for; its weights and mode are the original's."""
    device = next(model.parameters()).device
    if keys.precision == "bf16":
        model = LowPrecision(model, device.type)
    if not keys.compile:
        return model
    mode = "reduce-overhead" if device.type == "cuda" else "default"  # the former: CUDA graphs
    compiled = torch.compile(model, mode=mode, dynamic=False)
    assert isinstance(compiled, nn.Module)
    return compiled


class LowPrecision(nn.Module):
    """A network whose passes are in bfloat16, and its weights and logits in float32."""

    def __init__(self, network: nn.Module, device: str) -> None:
        super().__init__()
        self.network, self.device = network, device

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) inputs to (n, classes) logits."""
        with torch.autocast(self.device, torch.bfloat16):
            logits: Tensor = self.network(x)
        return logits.float()


def factor(
    of: Callable[[Schedule, int, int, int], float],
    clock: tuple[Schedule, int],
    step: int,
    steps: int,
) -> float:
    """A factor of the schedule at a step, with `steps` an epoch."""
    schedule, horizon = clock
    return of(schedule, step, steps, horizon)


def weights(
    model: nn.Module, loss: Callable[[], Tensor], keys: Objective, epochs: float, group: Group
) -> AbstractContextManager[None]:
    """The weights to descend at, after so many epochs: as they are, or perturbed by `awp`."""
    size = getattr(keys, "awp", 0.0)
    if not size or epochs < getattr(keys, "awp_warmup", 0.0):
        return nullcontext()
    return perturbed(model, loss, size, group)


def clip(model: nn.Module, limit: float | None) -> Tensor:
    """The gradient's l2 norm; scales the gradient down to `limit` if that is given."""
    parameters = [p for p in model.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if limit is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm
