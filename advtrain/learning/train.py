"""The training loop: adversarial examples of each batch, one optimizer step, one record an epoch.

It yields records and owns no directory: saving, showing and judging them is the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from advtrain.config.objectives import Objective
from advtrain.config.optimization import Schedule
from advtrain.config.schema import Config, Training
from advtrain.errors import SettingError
from advtrain.learning.data.augment import crop_and_flip
from advtrain.learning.data.images import portions
from advtrain.learning.data.splits import Data
from advtrain.learning.measure import measure, panel, weight_norm
from advtrain.learning.objectives import OBJECTIVES
from advtrain.learning.objectives.awp import perturbed
from advtrain.learning.objectives.batch import Batch, Carry, Outcome
from advtrain.learning.schedule import alpha_factor, eps_factor, lr_factor
from advtrain.learning.streams import seed_global, seed_of, stream
from advtrain.learning.tally import Tally
from advtrain.records import EpochRecord, Position, Progress

# Batches done, batches in the epoch, and what gives all that going on from there needs.
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
) -> Iterator[EpochRecord]:
    """Train from `progress` (updated in place) to the config's last epoch, a record for each.

    Ends early, with the reason in `progress.stopped`, on a loss or weight that is not finite, on
    `training.early_stopping`, and where `hopeless` says why of an epoch's record. `average` is
    kept up with the weights. Random numbers and the learning rate depend on the seed, the
    epoch and the batch alone, so a run goes on from any batch's weights as if never stopped:
    `position` says from which of the first epoch. While batches are trained `under_way` is entered.
    """
    measured_on, network = panel(data, config.evaluation.size), fast(model, config.training)
    while progress.epoch < config.training.epochs and not progress.stopped:
        began = time.perf_counter() - (position.seconds if position else 0)
        with under_way():
            record = train_epoch(
                network, optimizer, data, config, progress, tick, average, position
            )
        position = None
        if record.finite:
            measure(model, measured_on, config, record, progress, average)
            last = progress.epoch == config.training.epochs or bool(progress.stopped)
            if not last and (reason := hopeless(record)):
                progress.stopped = reason
                measure(model, measured_on, config, record, progress, average)  # now on all images
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
) -> EpochRecord:
    """One pass over the training images, or what `position` leaves of it.

    Ends at the first batch that is not finite.
    """
    epoch, seed, keys = progress.epoch + 1, config.seed, config.objective
    device = next(model.parameters()).device
    objective, replays = OBJECTIVES[keys.name], getattr(keys, "replays", 1)
    batches = batches_of(len(data.train), config.training.batch_size, seed, epoch, replays)
    steps, clock = len(batches) * replays, (config.schedule, config.horizon)
    start = position or Position(progress.step)
    tally, carry = Tally(device, start.sums), Carry(start.delta)
    lr, strength = start.lr, start.strength
    model.train()
    began = time.perf_counter() - start.seconds

    def here() -> Position:
        seconds = time.perf_counter() - began
        return Position(start.step, number + 1, seconds, lr, strength, tally.state(), carry.delta)

    for number, (x, y, _) in enumerate(data.train.batches(batches[start.done :]), start.done):
        step = (epoch - 1) * steps + number * replays
        strength = factor(eps_factor, clock, step, steps)
        if config.dataset.augment == "crop+flip":
            x = crop_and_flip(x, stream(seed, "augment", epoch, number, device=device))
        generator = stream(seed, "attack", epoch, number, device=device)
        batch = Batch(x, y, keys, config.attack, generator, strength,
                      factor(alpha_factor, clock, step, steps), carry)  # fmt: skip
        seed_global(seed_of(seed, "dropout", epoch, number), device)

        for replay, x_adv in enumerate(objective.examples(model, batch)):
            lr = config.optimizer.lr * factor(lr_factor, clock, step + replay, steps)
            for group in optimizer.param_groups:
                group["lr"] = lr
            outcome = partial(objective.loss, model, batch, x_adv)
            loss, robust_logits, grad_norm = descend(
                model, optimizer, outcome, config, step / steps
            )
            if average is not None:
                average.update_parameters(model)
            progress.step += 1
            tally.add(loss, robust_logits, y, grad_norm)

        first_bad = tally.first_bad(final=number + 1 == len(batches))
        progress.bad_batch = -(-first_bad // replays)  # it counts each replay
        if progress.bad_batch:
            break
        tick(number + 1, len(batches), here)
    progress.epoch = epoch
    record = EpochRecord(epoch, progress.step, lr=lr, eps=config.attack.eps * strength)
    tally.into(record)
    record.images_per_second = tally.images / (time.perf_counter() - began)
    record.weight_norm = weight_norm(model)
    if not record.finite and not progress.bad_batch:  # the last step made the weights so
        progress.bad_batch = len(batches)
    return record


def descend(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    outcome: Callable[[], Outcome],
    config: Config,
    epochs: float,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """One step down a loss, `epochs` after the beginning: loss, robust logits, gradient's norm."""
    with weights(model, outcome, config.objective, epochs):
        loss, robust_logits = outcome()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    grad_norm = clip(model, config.optimizer.clip_norm)
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


def batches_of(count: int, size: int, seed: int, epoch: int, replays: int = 1) -> Sequence[Tensor]:
    """The epoch's random order in batches; a last batch of one joins the one before it.

    (Batch norm cannot train on a single image of one pixel.) With replays a pass over the images
    spans as many epochs, each of which has its part of the batches.
    """
    a_pass, part = divmod(epoch - 1, replays)
    order = torch.randperm(count, generator=stream(seed, "order", a_pass + 1))
    batches = portions(order, size)
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches[part * len(batches) // replays : (part + 1) * len(batches) // replays]


def check_replays(config: Config, images: int) -> None:
    """SettingError where an epoch of `free` would have no batch."""
    replays, size = getattr(config.objective, "replays", 1), config.training.batch_size
    batches = len(batches_of(images, size, config.seed, 1))
    if replays > batches:
        raise SettingError(
            "objective.replays",
            f"{replays}, but {images} training images make only {batches} batches of {size}; "
            "expected at most as many",
        )


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
    model: nn.Module, outcome: Callable[[], Outcome], keys: Objective, epochs: float
) -> AbstractContextManager[None]:
    """The weights to descend at, after so many epochs: as they are, or perturbed by `awp`."""
    size = getattr(keys, "awp", 0.0)
    if not size or epochs < getattr(keys, "awp_warmup", 0.0):
        return nullcontext()
    return perturbed(model, lambda: outcome().loss, size)


def clip(model: nn.Module, limit: float | None) -> Tensor:
    """The gradient's l2 norm; scales the gradient down to `limit` if that is given."""
    parameters = [p for p in model.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if limit is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm
