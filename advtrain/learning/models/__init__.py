"""Networks by name. Every one begins with its normalisation, so that inputs stay in [0, 1]."""

from __future__ import annotations

import copy
import importlib
import inspect
from typing import Any

import torch
from torch import Tensor, nn

from advtrain.config.names import MODELS, did_you_mean
from advtrain.errors import AdvtrainError
from advtrain.learning.importing import import_attribute


class Normalize(nn.Module):
    """(x - mean) / std for each channel; the identity until `fit`."""

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels, 1, 1))
        self.register_buffer("std", torch.ones(channels, 1, 1))

    def fit(self, mean: Tensor, std: Tensor) -> None:
        """Take over the statistics, each of shape (channels,)."""
        self.mean.copy_(mean[:, None, None])
        self.std.copy_(std[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) in [0, 1] to the same shape, normalised."""
        return (x - self.mean) / self.std


class Classifier(nn.Module):
    """Normalisation, then the network: (n, c, h, w) in [0, 1] to (n, classes) logits."""

    def __init__(self, network: nn.Module, channels: int) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        """Logits, before any softmax."""
        logits: Tensor = self.network(self.normalize(x))
        return logits


def build_model(
    name: str, *, in_shape: tuple[int, int, int], num_classes: int, **args: Any
) -> Classifier:
    """The network for images of `in_shape` (channels, height, width), freshly initialised.

    Initial weights come from torch's global generator. Raises AdvtrainError if the network
    cannot be built or does not map two images to (2, num_classes) logits.
    """
    try:
        network = _network(name, in_shape, num_classes, args)
        model = Classifier(network, in_shape[0])
        logits = copy.deepcopy(model)(torch.zeros(2, *in_shape))
    except AdvtrainError:
        raise
    except Exception as error:  # the network may be the user's: anything may happen in it
        raise AdvtrainError(
            f"model {name}: fails on images of shape {in_shape}: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(logits, Tensor) or logits.shape != (2, num_classes):
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise AdvtrainError(
            f"model {name}: expected logits of shape (2, {num_classes}) for two images, got {got}"
        )
    return model


def _network(
    name: str, in_shape: tuple[int, int, int], num_classes: int, args: dict[str, Any]
) -> nn.Module:
    if name.startswith("torchvision:"):
        return _torchvision(name.removeprefix("torchvision:"), in_shape[0], num_classes, args)
    if name.startswith("import:"):
        make = import_attribute(name)
    elif name in MODELS:
        module, _, attribute = MODELS[name].builder.partition(":")
        make = getattr(importlib.import_module(module), attribute)
        args = MODELS[name].args(**args).model_dump()
    else:
        raise AdvtrainError(f"model {name!r} is not known{did_you_mean(name, MODELS)}")
    offered = {"in_shape": in_shape, "num_classes": num_classes}
    accepted = inspect.signature(make).parameters
    network = make(**{k: v for k, v in offered.items() if k in accepted}, **args)
    if not isinstance(network, nn.Module):
        raise AdvtrainError(f"model {name}: expected a torch.nn.Module, got {type(network)}")
    return network


class _ThreeChannels(nn.Module):
    """Repeats a grey channel for networks that were made for colour."""

    def forward(self, x: Tensor) -> Tensor:
        return x.expand(-1, 3, -1, -1)


def _torchvision(name: str, channels: int, num_classes: int, args: dict[str, Any]) -> nn.Module:
    from torchvision.models import get_model, list_models

    if name not in list_models():
        near = did_you_mean(name, list_models(), "torchvision:")
        raise AdvtrainError(f"model.name: torchvision has no model {name!r}{near}")
    network: nn.Module = get_model(name, weights=None, num_classes=num_classes, **args)
    return network if channels == 3 else nn.Sequential(_ThreeChannels(), network)
