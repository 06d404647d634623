"""What a run works with: its session of training, and what of it the files already say."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
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
from advtrain.learning.measuring.image_examples import Fixed, fixed_images
from advtrain.learning.models import build_model
from advtrain.learning.models.contract import freeze_unused, model_doubts
from advtrain.learning.optimizer import averaged, build_optimizer
from advtrain.learning.order import check_replays, check_shares, joined_for
from advtrain.learning.own_code import import_code
from advtrain.learning.session import Session
from advtrain.learning.streams import seed_of
from advtrain.process.observer import Observer
from advtrain.records import Progress, Row
from advtrain.store import checkpoint, examples_npz, metrics, provenance
from advtrain.store.parent import Parent
from advtrain.store.same_code import code_to_json, uncheckable
from advtrain.store.same_images import check_images, stamp


@dataclass(frozen=True)
class Assignment:
    """What is to be trained, in which directory, going on from which other run, and where."""

    config: Config
    path: Path
    parent: Parent | None
    device: str


@dataclass(frozen=True)
class Work:
    """The training of a run, and what is written beside its weights."""

    session: Session
    rows: list[Row]  # of the epochs done
    provenance: dict[str, Any]
    parent: Parent | None
    parent_best: bytes | None  # its best.pt, unless this run has gone on from it before
    fixed: Fixed  # the images that `shown` is about
    shown: examples_npz.Examples
    began: float = field(default_factory=time.perf_counter)


def prepare(assigned: Assignment, observer: Observer, group: Group = ALONE) -> Work:
    """Everything that can fail on a user's mistake, before the run's directory is touched."""
    config, path, parent = assigned.config, assigned.path, assigned.parent
    where = choose_device(assigned.device)
    code = import_code(config)
    for text in uncheckable(code):
        observer.warn(text)
    # The stamp before its files are read.
    noted = {"sources": code_to_json(code), "dataset_stamp": stamp(config.dataset)}
    data = load_data(config.dataset, where)
    _check_order(config, len(data.train), group, observer)
    record = record_of(assigned, data, noted)
    model = ready_model(config, data, where)
    doubts = model_doubts(model, config, data.shape, data.num_classes, len(data.train))
    session = begin_session(config, data, model, group)
    rows: list[Row] = []
    best = None
    if (path / "last.pt").exists():
        session.progress = checkpoint.restore(path / "last.pt", *_states(session))
        rows = metrics.read_rows(path / "metrics.csv", session.progress.epoch)
    elif parent:
        rows, best = _take_over(parent, session, observer)
    if (path / "part.pt").exists():
        _go_on_within(path / "part.pt", session, observer)
    if not session.done:  # an older version measured the last row, and that alone, on all images
        record[provenance.SAME_IMAGES] = True
    now = provenance.session(
        str(where), device_name(where), config.training.precision, config.training.compile,
        group.size,
    )  # fmt: skip
    for text in provenance.differences(record["sessions"][-1], now) if record["sessions"] else []:
        observer.warn(f"resumed on different terms, so the figures may differ slightly: {text}")
    record["sessions"].append(now)
    fixed = fixed_images(data.test, data.shape)
    shown = _shown(fixed, config, path, session.progress.epoch, observer)
    record["doubts"] = [*data.warnings, *doubts]
    return Work(session, rows, record, parent, best, fixed, shown)


def begin_session(config: Config, data: Data, model: nn.Module, group: Group) -> Session:
    """A training that has yet to take its first step."""
    if group.size > 1:
        freeze_unused(model, data.shape)
        if config.training.batch_norm == "synchronised":
            # Imports torch._dynamo, which takes as long as half of torch.
            from advtrain.learning.distributed.sync_norm import synchronised

            synchronised(model, group)
    average = averaged(model, config.training.ema) if config.training.ema else None
    optimizer = build_optimizer(model, config.optimizer)
    return Session(config, data, model, optimizer, average=average, group=group)


def _states(
    session: Session,
) -> tuple[nn.Module, torch.optim.Optimizer, AveragedModel | None]:
    """What a checkpoint holds the state of."""
    return session.model, session.optimizer, session.average


def _go_on_within(file: Path, session: Session, observer: Observer) -> None:
    """Go on from within an epoch, or warn that the file is of no use."""
    try:
        part = checkpoint.restore_part(file, session.progress, *_states(session))
    except AdvtrainError as error:
        begins = session.progress.epoch + 1
        observer.warn(f"{error}. It is left out: epoch {begins} begins anew")
        return
    if part:
        session.progress, session.position = part


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
        config.model.name,
        in_shape=data.shape,
        num_classes=data.num_classes,
        **config.model.arguments,
    )
    suit_threads(model, data.shape)
    keep_memory(where)
    if config.model.normalize:
        model.normalize.fit(data.mean, data.std)
    if weights := config.model.weights_file:
        checkpoint.load_weights(weights, model)
    model.to(where)
    if config.model.name in MODELS:  # others may rely on the usual strides, by view() for example
        model.to(memory_format=torch.channels_last)  # pooling is several times faster on CPUs
    return model


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


def record_of(assigned: Assignment, data: Data, noted: dict[str, Any]) -> dict[str, Any]:
    """The run's provenance: begun, or what is there, made sure to be about the same images.

    What is there of an older version gets what it lacks from `noted`, and all of it if the run has
    no weights yet.
    """
    config, path, parent = assigned.config, assigned.path, assigned.parent
    check_images(config, path, parent, data.checksum)
    record = provenance.read(path) or {
        "identity": path.name.rpartition("-")[2],
        "parent": _lineage(parent, config) if parent else None,
        "config_folder": str(config.origin.folder),
        "seed": config.seed,
        "labels": data.labels(),
        "sessions": [],
    }
    same = {"dataset_checksum": data.checksum, "dataset_stamp": noted["dataset_stamp"]}
    return noted | record | same | ({} if provenance.has_results(path) else noted)


def _lineage(parent: Parent, config: Config) -> dict[str, Any]:
    """What a verdict has to know of the run that this one goes on from."""
    own = provenance.read(parent.path)
    before = own.get("parent") or {}
    last_on_all = parent.finished and not own.get(provenance.SAME_IMAGES)
    trained_on = ("dataset", "attack", "objective", "optimizer")
    return {
        "run": str(parent.path),
        "epoch": parent.epoch,
        "changed": [s for s in trained_on if getattr(config, s) != getattr(parent.config, s)],
        # The rows taken over that older versions measured on all images.
        "whole": [*before.get("whole", []), *([parent.epoch] if last_on_all else [])],
    }


def _take_over(
    parent: Parent, session: Session, observer: Observer
) -> tuple[list[Row], bytes | None]:
    """Take the parent's weights; its rows, and its best.pt if it has one."""
    config, (model, optimizer, average) = session.config, _states(session)
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
    session.progress = Progress(
        progress.epoch,
        progress.step,
        carried=progress.epoch,
        **{key: getattr(progress, key) for key in kept},
    )
    rows = metrics.read_rows(parent.path / "metrics.csv", progress.epoch)
    return rows, best.read_bytes() if kept else None
