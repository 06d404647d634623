"""The training loop: adversarial examples of each batch, one optimizer step, one record an epoch.

It yields records and owns no directory: saving, showing and judging them is the caller's.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from advtrain.config.schema import Attack, Config, Training
from advtrain.learning.attack import mode, pgd, strongest
from advtrain.learning.data.augment import crop_and_flip
from advtrain.learning.data.images import portions
from advtrain.learning.data.splits import Data
from advtrain.learning.measure import measure, panel, weight_norm
from advtrain.learning.objective import OBJECTIVES
from advtrain.learning.schedule import eps_factor, lr_factor
from advtrain.learning.streams import seed_global, seed_of, stream
from advtrain.learning.tally import Tally
from advtrain.records import EpochRecord, Progress

Tick = Callable[[int, int], None]  # (batches done, batches in the epoch)


def train_epochs(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: Data,
    config: Config,
    progress: Progress,
    tick: Tick = lambda done, batches: None,
) -> Iterator[EpochRecord]:
    """Train from `progress` (updated in place) to the config's last epoch, a record for each.

    Ends early, with the reason in `progress.stopped`, on a loss or weight that is not finite and
    on `training.early_stopping`. Random numbers and the learning rate depend on the seed, the
    epoch and the batch alone, so a run goes on from any epoch's weights as if never stopped.
    """
    measured_on, network = panel(data, config.evaluation.size), fast(model, config.training)
    while progress.epoch < config.training.epochs and not progress.stopped:
        began = time.perf_counter()
        record = train_epoch(network, optimizer, data, config, progress, tick)
        if record.finite:
            measure(model, measured_on, config, record, progress)
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
) -> EpochRecord:
    """One pass over the training images; ends at the first batch that is not finite."""
    epoch, seed = progress.epoch + 1, config.seed
    device = next(model.parameters()).device
    objective = OBJECTIVES[config.objective.name]
    batches = batches_of(len(data.train), config.training.batch_size, seed, epoch)
    tally, lr, strength = Tally(device), 0.0, 0.0
    low = config.training.precision == "bf16"
    model.train()
    began = time.perf_counter()
    for number, (x, y, _) in enumerate(data.train.batches(batches)):
        step = (epoch - 1) * len(batches) + number
        lr = config.optimizer.lr * lr_factor(config.schedule, step, len(batches), config.horizon)
        strength = eps_factor(config.schedule, step, len(batches))
        for group in optimizer.param_groups:
            group["lr"] = lr
        if config.dataset.augment == "crop+flip":
            x = crop_and_flip(x, stream(seed, "augment", epoch, number, device=device))
        generator = stream(seed, "attack", epoch, number, device=device)
        attack = partial(adversarial, model, config.attack, strength, generator)
        seed_global(seed_of(seed, "dropout", epoch, number), device)

        with torch.autocast(device.type, torch.bfloat16, enabled=low):
            loss, robust_logits = objective(model, x, y, attack, config.objective)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        grad_norm = clip(model, config.optimizer.clip_norm)
        optimizer.step()

        progress.step += 1
        tally.add(loss, robust_logits, y, grad_norm)
        tick(number + 1, len(batches))
        progress.bad_batch = tally.first_bad(final=number + 1 == len(batches))
        if progress.bad_batch:
            break
    progress.epoch = epoch
    record = EpochRecord(epoch, progress.step, lr=lr, eps=config.attack.eps * strength)
    tally.into(record)
    record.images_per_second = tally.images / (time.perf_counter() - began)
    record.weight_norm = weight_norm(model)
    if not record.finite and not progress.bad_batch:  # the last step made the weights so
        progress.bad_batch = len(batches)
    return record


def fast(model: nn.Module, keys: Training) -> nn.Module:
    """The model, compiled if asked for; it shares its weights and its mode with the original."""
    if not keys.compile:
        return model
    device = next(model.parameters()).device
    mode = "reduce-overhead" if device.type == "cuda" else "default"  # the former: CUDA graphs
    compiled = torch.compile(model, mode=mode, dynamic=False)
    assert isinstance(compiled, nn.Module)
    return compiled


def batches_of(count: int, size: int, seed: int, epoch: int) -> Sequence[Tensor]:
    """The epoch's random order in batches; a last batch of one joins the one before it.

    (Batch norm cannot train on a single image of one pixel.)
    """
    order = torch.randperm(count, generator=stream(seed, "order", epoch))
    batches = portions(order, size)
    if len(batches) > 1 and len(batches[-1]) == 1:
        batches[-2:] = [torch.cat(batches[-2:])]
    return batches


def adversarial(
    model: nn.Module,
    attack: Attack,
    strength: float,
    generator: torch.Generator,
    x: Tensor,
    y: Tensor,
) -> Tensor:
    """The training attack at `strength` times its eps and step size, best of its restarts."""
    found = (
        pgd(
            model, x, y, norm=attack.norm, eps=attack.eps * strength,
            alpha=attack.step_size * strength, steps=attack.steps, start=attack.start,
            generator=generator, model_mode=attack.model_mode,
        )
        for _ in range(attack.restarts)
    )  # fmt: skip
    if attack.restarts == 1:
        return next(found)
    with mode(model, attack.model_mode):
        return strongest(model, found, y)[0]


def clip(model: nn.Module, limit: float | None) -> Tensor:
    """The gradient's l2 norm; scales the gradient down to `limit` if that is given."""
    parameters = [p for p in model.parameters() if p.grad is not None]
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if limit is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return norm
