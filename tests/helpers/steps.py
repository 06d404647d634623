"""A few training steps on a few made-up images, with the weights after each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from advtrain.config.schema import Config
from advtrain.learning.data.images import Resident
from advtrain.learning.data.splits import Data
from advtrain.learning.loop import Hooks, train_epoch
from advtrain.learning.models import build_model
from advtrain.learning.optimizer import build_optimizer
from advtrain.learning.session import Session
from advtrain.records import EpochRecord
from tests.helpers.reference_methods import flat

SHAPE = (1, 4, 4)


def config_of(objective: dict[str, Any], **sections: Any) -> Config:
    """Four epochs of batches of four, on a cosine."""
    return Config.model_validate({
        "model": {"name": "mlp"}, "dataset": {"name": "digits"},
        "attack": {"eps": 0.1, "steps": 2}, "objective": objective,
        "optimizer": {"name": "sgd", "lr": 0.2, "weight_decay": 0.01},
        "schedule": {"name": "cosine"}, "training": {"epochs": 4, "batch_size": 4},
        **sections,
    })  # fmt: skip


def splits(n: int = 14) -> Data:
    """So many images of three classes, the same to train and to test."""
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(n, *SHAPE, generator=generator)
    images = Resident(x, torch.arange(n) % 3, torch.arange(n))
    return Data(images, None, images, SHAPE, 3, torch.zeros(1), torch.ones(1), "")


def built() -> nn.Module:
    """A small network, always the same."""
    torch.manual_seed(0)
    return build_model("mlp", in_shape=SHAPE, num_classes=3, width=8, depth=1)


def trained(
    config: Config, epochs: int, data: Data, model: nn.Module
) -> tuple[list[Tensor], list[EpochRecord]]:
    """The weights after every optimizer step, in one vector each, and the epochs' records."""
    trace: list[Tensor] = []
    optimizer = build_optimizer(model, config.optimizer)
    optimizer.register_step_post_hook(lambda *_: trace.append(flat(model.parameters())))
    session = Session(config, data, model, optimizer)
    return trace, [train_epoch(session, Hooks()) for _ in range(epochs)]
