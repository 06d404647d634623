"""torch optimizers from a config's optimizer section."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from advtrain.config.optimization import Adam, AdamW, Optimizer, Sgd
from advtrain.errors import SettingError
from advtrain.learning.models.outputs import reason
from advtrain.learning.models.trial import copyable


def build_optimizer(model: nn.Module, keys: Optimizer) -> torch.optim.Optimizer:
    """The optimizer over all parameters; weight decay applies to each of them."""
    fused = next(model.parameters()).device.type in ("cpu", "cuda")
    match keys:
        case Sgd():
            return torch.optim.SGD(
                model.parameters(),
                lr=keys.lr,
                momentum=keys.momentum,
                nesterov=keys.nesterov,
                weight_decay=keys.weight_decay,
                fused=fused,
            )
        case Adam() | AdamW():
            kind = torch.optim.Adam if isinstance(keys, Adam) else torch.optim.AdamW
            betas = (keys.betas[0], keys.betas[1])
            return kind(
                model.parameters(),
                lr=keys.lr,
                betas=betas,
                weight_decay=keys.weight_decay,
                fused=fused,
            )


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of the model's weights and buffers, by `update_parameters`.

    The first update copies the model; each later one keeps `decay` of the average. SettingError
    for a network that cannot be copied.
    """
    update = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    try:
        with copyable(model):
            return AveragedModel(model, multi_avg_fn=update, use_buffers=True)
    except Exception as error:  # the network may be the user's
        text = f"averages in a copy of the network, which cannot be copied: {reason(error)}"
        raise SettingError("training.ema", text) from error
