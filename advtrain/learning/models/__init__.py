"""Networks by name. Every one begins with its normalisation, so that inputs stay in [0, 1]."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from advtrain.config.names import MODELS, did_you_mean
from advtrain.errors import SettingError
from advtrain.learning.importing import blamed, import_attribute
from advtrain.learning.models.classifier import Classifier
from advtrain.learning.models.outputs import logits_of, made_up, reason, refused
from advtrain.learning.models.trial import trial


def build_model(
    name: str, *, in_shape: tuple[int, int, int], num_classes: int, **args: Any
) -> Classifier:
    """The network for images of `in_shape` (channels, height, width), freshly initialised.

    Initial weights come from torch's global generator. Layers that wait for a first pass to know
    their shapes have had it. Raises SettingError if the network cannot be built, or does not map
    images to `num_classes` logits.
    """
    try:
        model = Classifier(_network(name, in_shape, num_classes, args), in_shape[0])
    except SettingError:
        raise
    except (Exception, SystemExit) as error:  # the network may be the user's
        text = f"{name} cannot be built for images of shape {in_shape}: {reason(error)}"
        raise SettingError(blamed(error, "model", args), text) from error
    _pass_once(model, name, made_up(2, in_shape), num_classes)
    if unused := _lazy(model):
        raise refused(name, f"no pass reaches its lazy layers ({', '.join(unused)}); remove them")
    return model


def _pass_once(model: nn.Module, name: str, x: Tensor, num_classes: int) -> None:
    """Make sure of logits; let layers that wait for a first pass, or are made in it, have it."""
    if not _lazy(model):
        with trial(model), torch.no_grad():
            before = {*model.state_dict()}
            logits_of(model.eval(), x, name, num_classes)
            made = {*model.state_dict()} - before
        if not made:
            return
    modes = [(module, module.training) for module in model.modules()]
    with torch.no_grad():
        logits_of(model.eval(), x, name, num_classes)
    for module, training in modes:
        module.training = training


def _lazy(model: nn.Module) -> list[str]:
    """Names of weights and buffers whose shapes are not known yet."""
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return [name for name, tensor in tensors if is_lazy(tensor)]


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
