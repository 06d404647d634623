"""What a network has to keep to, looked for in a few passes before training begins.

It maps images (n, c, h, w) to logits (n, classes), each image by itself, and a gradient reaches
both images and weights. The images are made up, so that no dataset is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advtrain.config.names import MODELS
from advtrain.config.schema import Config
from advtrain.errors import SettingError
from advtrain.learning.attacks.pgd import mode
from advtrain.learning.attacks.traps import are_probabilities, outputs_differ
from advtrain.learning.models.outputs import logits_of, made_up, reason, refused
from advtrain.learning.models.trial import trial

_BOUNDED = {"SigmoidBackward0": "sigmoid", "TanhBackward0": "tanh"}
_SHOWN = 3  # shapes that a warning names


def model_doubts(
    model: nn.Module, config: Config, shape: tuple[int, int, int], classes: int, images: int
) -> list[str]:
    """Sentences about what is allowed in a network and seldom meant; mostly none.

    `images` is the number of training images. Raises SettingError for a network that cannot be
    trained. Nothing of the network changes; built-in ones are known to keep to all.
    """
    if config.model.name in MODELS:
        return []
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    x, name = made_up(3, shape).to(device), config.model.name
    with trial(model):
        found = _evaluated(model, name, x, classes)
        found += _trained(model, config, x[: min(2, config.training.batch_size, images)], classes)
        if getattr(config.objective, "gradalign", 0.0):
            _differentiated_twice(model, name, x, classes)
    return [f"model.name: {name}: {text}" for text in found]


def _evaluated(model: nn.Module, name: str, x: Tensor, classes: int) -> list[str]:
    """What passes in eval mode tell, as attacks and measurements make them."""
    with mode(model, "eval"):
        x.requires_grad_()
        logits = logits_of(model, x, name, classes)
        if not bool(logits.isfinite().all()):
            raise refused(name, "its outputs are not finite (NaN, inf) before any training")
        grad = _gradient(name, logits, [x])[0] if logits.requires_grad else None
        if grad is None:
            raise refused(
                name, "no gradient reaches the images, so no attack can follow it; do all that "
                "forward does to them with differentiable torch functions (no torch.no_grad, "
                "detach, numpy, argmax)",
            )  # fmt: skip
        if not bool(grad.isfinite().all()):
            raise refused(name, "the gradient at the images is not finite (NaN, inf)")
        x = x.detach_()
        with torch.no_grad():
            again = logits_of(model, x, name, classes)
            alone = logits_of(model, x[:1], name, classes, " in eval mode")
    found = _of_values(logits, classes)
    if not bool(grad.any()) and not _has_gradient_elsewhere(model, name, x, classes):
        found.append(
            "the gradient at the images is zero, where an attack stands still; forward may round "
            "or take signs"
        )
    if outputs_differ(logits, again):
        found.append(
            "in eval mode, two passes over the same images give different outputs (dropout or "
            "noise that ignores the mode), so each figure is that of one draw"
        )
    elif outputs_differ(logits[:1], alone):
        found.append(
            "in eval mode, the outputs for an image depend on the others in its batch (batch norm "
            "without running statistics?), so figures depend on how images are batched"
        )
    return found


def _has_gradient_elsewhere(model: nn.Module, name: str, x: Tensor, classes: int) -> bool:
    """Whether the gradient at the images is zero only because weights begin at zero."""
    x = x.clone().requires_grad_()
    with trial(model), mode(model, "eval"):
        for parameter in model.parameters():
            parameter.add_(made_up(1, parameter.shape)[0].to(parameter))
        (grad,) = _gradient(name, logits_of(model, x, name, classes), [x])
    return grad is not None and bool(grad.any())


def _of_values(logits: Tensor, classes: int) -> list[str]:
    """What the outputs themselves tell: whether they are logits."""
    last = type(logits.grad_fn).__name__
    if are_probabilities(logits):
        least = float(F.cross_entropy(torch.eye(classes), torch.arange(classes)))
        return [
            "the outputs are probabilities, not logits: the loss takes their softmax once more, so "
            f"it never falls below {least:.2f}, its gradients are small, and a verdict's stuck and "
            "flat mean less; leave the last softmax out of forward"
        ]
    if last in _BOUNDED:
        return [
            f"the outputs end in a {_BOUNDED[last]}, which bounds them: the loss cannot come near "
            "0; expected logits, so leave it out of forward"
        ]
    return []


def _trained(model: nn.Module, config: Config, x: Tensor, classes: int) -> list[str]:
    """What a step of training tells, on as few images as a batch may have."""
    name, learning = config.model.name, [p for p in model.parameters() if p.requires_grad]
    model.train()
    for _ in range(2):  # the second finds what only the first could use
        try:
            logits = logits_of(model, x, name, classes, " in training mode")
        except SettingError as error:
            if len(x) > 1:
                raise
            text = f"{error.text}; expected a batch_size of 2 or more"
            raise SettingError("training.batch_size", text) from error
        gradients = _gradient(name, logits, learning) if learning and logits.requires_grad else []
        if all(each is None for each in gradients):
            raise refused(name, "its logits depend on no trainable parameter")
    return _unregistered(logits, model)


def _differentiated_twice(model: nn.Module, name: str, x: Tensor, classes: int) -> None:
    """SettingError where gradalign could not descend the gradient at the images."""
    x = x.requires_grad_()
    logits = logits_of(model, x, name, classes)
    try:
        (grad,) = torch.autograd.grad(logits.logsumexp(1).sum(), x, create_graph=True)
        grad.square().sum().backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
    except RuntimeError as error:
        text = f"needs second derivatives, which {name} has not: {reason(error)}"
        raise SettingError("objective.gradalign", text) from error


def _gradient(name: str, logits: Tensor, at: Sequence[Tensor]) -> list[Tensor | None]:
    """The gradient of a cross-entropy at each tensor; None where it does not depend on one."""
    y = torch.arange(len(logits), device=logits.device) % logits.shape[1]
    try:
        return [*torch.autograd.grad(F.cross_entropy(logits, y), at, allow_unused=True)]
    except RuntimeError as error:
        text = f"its gradient cannot be taken: {reason(error)}"
        if "a second time" in text:
            text = "what __init__ computes of its weights is gone after a step; let forward do so"
        raise refused(name, text) from error


def _unregistered(logits: Tensor, model: nn.Module) -> list[str]:
    """A sentence about weights that the outputs depend on and no optimizer would know of."""
    known = {id(p) for p in model.parameters()}
    seen: set[Any] = set()
    todo, found = [logits.grad_fn], []
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        variable = getattr(node, "variable", None)
        if isinstance(variable, Tensor) and id(variable) not in known:
            found.append(variable)
        todo += [after for after, _ in node.next_functions]
    if not found:
        return []
    shapes = ", ".join(str(tuple(each.shape)) for each in found[:_SHOWN])
    return [
        f"{len(found)} weights (of shape {shapes}{', ...' * (len(found) > _SHOWN)}) are not among "
        "its parameters and will not be trained; keep layers in nn.ModuleList or nn.ModuleDict, "
        "weights as nn.Parameter"
    ]


def freeze_unused(model: nn.Module, shape: tuple[int, int, int]) -> None:
    """Ask no gradient for weights that no pass uses; one process finds none for them either.

    DistributedDataParallel would wait for it in vain.
    """
    parameters = [*model.parameters()]
    with trial(model):
        learning = [p.requires_grad_() for p in parameters]
        logits = model(made_up(2, shape).to(parameters[0].device))
        gradients = torch.autograd.grad(logits.sum(), learning, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is None:
            parameter.requires_grad_(False)
