"""What a run works with: data, network, optimizer, and how far it is; its own or its parent's."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from advtrain.config.names import MODELS
from advtrain.config.schema import Config
from advtrain.errors import AdvtrainError
from advtrain.learning.data.splits import Data, load_data
from advtrain.learning.device import choose_device, device_name, keep_memory, suit_threads
from advtrain.learning.distributed.group import ALONE, Group
from advtrain.learning.distributed.sync_norm import synchronised
from advtrain.learning.measuring.image_examples import Fixed, fixed_images
from advtrain.learning.models import build_model
from advtrain.learning.optimizer import averaged, build_optimizer
from advtrain.learning.order import check_replays, check_shares, joined_for
from advtrain.learning.streams import seed_of
from advtrain.process.observer import Observer
from advtrain.records import Position, Progress, Row
from advtrain.store import checkpoint, examples_npz, metrics, provenance
from advtrain.store.parent import Parent


@dataclass(frozen=True)
class Work:
    """All that training needs, and what of it a file already says."""

    config: Config
    data: Data
    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: AveragedModel | None
    progress: Progress
    position: Position | None  # within the epoch after those
    rows: list[Row]  # of the epochs done
    provenance: dict[str, Any]
    parent: Parent | None
    parent_best: bytes | None  # its best.pt, unless this run has gone on from it before
    fixed: Fixed  # the images that `shown` is about
    shown: examples_npz.Examples


def prepare(
    config: Config,
    device: str,
    path: Path,
    parent: Parent | None,
    observer: Observer,
    group: Group = ALONE,
) -> Work:
    """Everything that can fail on a user's mistake, before the run's directory is touched."""
    where = choose_device(device)
    data = load_data(config.dataset, where)
    _check_order(config, len(data.train), group, observer)
    record = record_of(config, data, path, parent)
    model = ready_model(config, data, where)
    if group.size > 1:
        _freeze_unused(model, data.shape, where)
        if config.training.batch_norm == "synchronised":
            synchronised(model, group)
    optimizer = build_optimizer(model, config.optimizer)
    average = averaged(model, config.training.ema) if config.training.ema else None
    progress, rows, best = Progress(), [], None
    if (path / "last.pt").exists():
        progress = checkpoint.restore(path / "last.pt", model, optimizer, average)
        rows = metrics.read_rows(path / "metrics.csv", progress.epoch)
    elif parent:
        progress, rows, best = _take_over(parent, config, model, optimizer, average, observer)
    position = None
    if (path / "part.pt").exists():
        try:
            part = checkpoint.restore_part(path / "part.pt", progress, model, optimizer, average)
            progress, position = part or (progress, None)
        except AdvtrainError as error:
            observer.warn(f"{error}. It is left out: epoch {progress.epoch + 1} begins anew")
    now = provenance.session(
        str(where), device_name(where), config.training.precision, config.training.compile,
        group.size,
    )  # fmt: skip
    for text in provenance.differences(record["sessions"][-1], now) if record["sessions"] else []:
        observer.warn(f"resumed on different terms, so the figures may differ slightly: {text}")
    record["sessions"].append(now)
    fixed = fixed_images(data.test, data.shape)
    shown = _shown(fixed, config, path, progress.epoch, observer)
    return Work(config, data, model, optimizer, average, progress, position, rows, record, parent,
                best, fixed, shown)  # fmt: skip


def _check_order(config: Config, images: int, group: Group, observer: Observer) -> None:
    """SettingError where the epochs' batches cannot be; a warning where they are not one's own."""
    check_shares(config, images, group.size)
    check_replays(config, images, group.size)
    if few := joined_for(config, images, group.size):
        observer.warn(
            f"the last batch's {few} images are too few for {group.size} processes and join the "
            "batch before: an epoch has one step less than on one process"
        )


def ready_model(config: Config, data: Data, where: torch.device) -> nn.Module:
    """The config's network on the device, as its training begins: drawn by its seed, or loaded."""
    torch.manual_seed(seed_of(config.seed, "init"))
    model = build_model(
        config.model.name, in_shape=data.shape, num_classes=data.num_classes, **config.model.args
    )
    suit_threads(model, data.shape)
    keep_memory(where)
    if config.model.normalize:
        model.normalize.fit(data.mean, data.std)
    if config.model.weights:
        checkpoint.load_weights(Path(config.model.weights), model)
    model.to(where)
    if config.model.name in MODELS:  # others may rely on the usual strides, by view() for example
        model.to(memory_format=torch.channels_last)  # pooling is several times faster on CPUs
    return model


def _freeze_unused(model: nn.Module, shape: tuple[int, int, int], where: torch.device) -> None:
    """Ask no gradient for weights that no pass uses; one process finds none for them either.

    DistributedDataParallel would wait for it in vain.
    """
    trial = copy.deepcopy(model)
    names, parameters = zip(*trial.named_parameters(), strict=True)
    learning = [p.requires_grad_() for p in parameters]
    logits = trial(torch.zeros(2, *shape, device=where))
    gradients = torch.autograd.grad(logits.sum(), learning, allow_unused=True)
    for name, gradient in zip(names, gradients, strict=True):
        if gradient is None:
            model.get_parameter(name).requires_grad_(False)


def _shown(
    fixed: Fixed, config: Config, path: Path, epoch: int, observer: Observer
) -> examples_npz.Examples:
    """What examples.npz holds of the epochs done; nothing, and a warning, if it is damaged."""
    label = fixed.batch.y.cpu().numpy()
    shown = examples_npz.of_images(config.attack.norm, fixed.kept, label, fixed.index)
    try:
        shown.go_on(path / "examples.npz", epoch)
    except AdvtrainError as error:
        observer.warn(f"{error}. It is begun anew, without the stages before epoch {epoch + 1}")
    return shown


def record_of(config: Config, data: Data, path: Path, parent: Parent | None) -> dict[str, Any]:
    """The run's provenance: begun, or what is there, made sure to be about the same images."""
    record = provenance.read(path) or {
        "identity": path.name.rpartition("-")[2],
        "parent": _lineage(parent, config) if parent else None,
        "config_folder": str(config.origin.folder),
        "seed": config.seed,
        "dataset_checksum": data.checksum,
        "labels": data.labels(),
        "sessions": [],
    }
    if record["dataset_checksum"] != data.checksum:
        raise AdvtrainError(
            f"{path}: the images of {config.dataset.name} are not those that this run began with "
            "(checksum in provenance.json); give the new ones a run of their own with name=..."
        )
    return record


def _lineage(parent: Parent, config: Config) -> dict[str, Any]:
    """What a verdict has to know of the run that this one goes on from."""
    before = provenance.read(parent.path).get("parent") or {}
    trained_on = ("dataset", "attack", "objective", "optimizer")
    return {
        "run": str(parent.path),
        "epoch": parent.epoch,
        "changed": [s for s in trained_on if getattr(config, s) != getattr(parent.config, s)],
        # The rows taken over that are measured on all images.
        "whole": [*before.get("whole", []), *([parent.epoch] if parent.finished else [])],
    }


def _take_over(
    parent: Parent,
    config: Config,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    average: AveragedModel | None,
    observer: Observer,
) -> tuple[Progress, list[Row], bytes | None]:
    """The parent's weights, its rows, and its best.pt if it has one."""
    same = type(parent.config.optimizer) is type(config.optimizer)
    last, best = parent.path / "last.pt", parent.path / "best.pt"
    progress = checkpoint.restore(last, model, optimizer if same else None, average)
    if progress.epoch != parent.epoch:  # killed between the two files
        raise AdvtrainError(
            f"{last}: is of epoch {progress.epoch}, but status.json says {parent.epoch}; "
            "let that run go on first"
        )
    if not same:
        observer.warn(f"the optimizer starts afresh: {parent.path} used another")
    # A best epoch only compares with others that were measured alike.
    measured = ("dataset", "attack", "objective", "evaluation")
    alike = all(getattr(parent.config, key) == getattr(config, key) for key in measured)
    kept = {"best_epoch", "best_acc", "best_loss"} if alike and best.exists() else set()
    progress = Progress(
        progress.epoch,
        progress.step,
        carried=progress.epoch,
        **{key: getattr(progress, key) for key in kept},
    )
    rows = metrics.read_rows(parent.path / "metrics.csv", progress.epoch)
    return progress, rows, best.read_bytes() if kept else None
