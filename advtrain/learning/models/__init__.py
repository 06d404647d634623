"""Networks by name. Every one begins with its normalisation, so that inputs stay in [0, 1]."""

from __future__ import annotations

import copy
import importlib
import inspect
from typing import Any

import torch
from torch import Tensor, nn

from advtrain.config.names import MODELS, did_you_mean
from advtrain.errors import SettingError
from advtrain.learning.importing import import_attribute
from advtrain.learning.models.classifier import Classifier


def build_model(
    name: str, *, in_shape: tuple[int, int, int], num_classes: int, **args: Any
) -> Classifier:
    """The network for images of `in_shape` (channels, height, width), freshly initialised.

    Initial weights come from torch's global generator. Raises SettingError if the network
    cannot be built, or cannot be trained to map images to `num_classes` logits.
    """
    try:
        model = Classifier(_network(name, in_shape, num_classes, args), in_shape[0])
        logits = copy.deepcopy(model)(torch.zeros(2, *in_shape))
    except SettingError:
        raise
    except (Exception, SystemExit) as error:  # the network may be the user's
        raise SettingError(
            "model.name",
            f"{name} fails on images of shape {in_shape}: {type(error).__name__}: {error}",
        ) from error
    if not isinstance(logits, Tensor) or logits.shape != (2, num_classes):
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise SettingError(
            "model.name",
            f"{name}: expected logits of shape (2, {num_classes}) for two images, got {got}",
        )
    if not logits.requires_grad:
        raise SettingError("model.name", f"{name}: its logits depend on no trainable parameter")
    return model


def _network(
    name: str, in_shape: tuple[int, int, int], num_classes: int, args: dict[str, Any]
) -> nn.Module:
    if name.startswith("torchvision:"):
        return _torchvision(name.removeprefix("torchvision:"), in_shape[0], num_classes, args)
    if name.startswith("import:"):
        make = import_attribute(name, "model.name")
    elif name in MODELS:
        module, _, attribute = MODELS[name].builder.partition(":")
        make = getattr(importlib.import_module(module), attribute)
        args = MODELS[name].args(**args).model_dump()
    else:
        raise SettingError("model.name", f"{name!r} is not known{did_you_mean(name, MODELS)}")
    offered = {"in_shape": in_shape, "num_classes": num_classes}
    accepted = inspect.signature(make).parameters
    network = make(**{k: v for k, v in offered.items() if k in accepted}, **args)
    if not isinstance(network, nn.Module):
        got = type(network).__name__
        raise SettingError("model.name", f"{name}: expected a torch.nn.Module, got {got}")
    return network


class _ThreeChannels(nn.Module):
    """Repeats a grey channel for networks that were made for colour."""

    def forward(self, x: Tensor) -> Tensor:
        return x.expand(-1, 3, -1, -1)


def _torchvision(name: str, channels: int, num_classes: int, args: dict[str, Any]) -> nn.Module:
    import torchvision.models as zoo

    classifiers = zoo.list_models(module=zoo)
    if name not in classifiers:
        near = did_you_mean(name, classifiers, "torchvision:")
        raise SettingError("model.name", f"torchvision has no classifier {name!r}{near}")
    if name in ("googlenet", "inception_v3"):  # whose extra outputs in training no loss here uses
        args = {"aux_logits": False, "init_weights": True} | args
    network: nn.Module = zoo.get_model(name, weights=None, num_classes=num_classes, **args)
    return network if channels == 3 else nn.Sequential(_ThreeChannels(), network)
