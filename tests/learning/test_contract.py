"""What a network has to keep to: sound ones are taken as they are, others refused or doubted."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from advtrain.config.schema import Config
from advtrain.errors import SettingError
from advtrain.learning.models import build_model
from advtrain.learning.models.contract import freeze_unused, model_doubts
from advtrain.learning.models.trial import trial
from advtrain.learning.optimizer import averaged

SHAPE = (1, 8, 8)
SOUND = [
    *("Plain", "OldWeightNorm", "OldSpectralNorm", "WithLock", "Lazy", "MadeInForward"),
    *("FirstBatch", "Dropout", "InPlace", "LogSoftmax", "ZeroLast", "NormTwice", "HalfFrozen"),
]
DOUBTFUL = {
    "Softmax": "the outputs are probabilities, not logits: the loss takes their softmax once more, "
    "so it never falls below 1.46",
    "Ensemble": "the outputs are probabilities, not logits",
    "SoftmaxInEval": "the outputs are probabilities, not logits",
    "Sigmoid": "the outputs end in a sigmoid, which bounds them",
    "Rounding": "the gradient at the images is zero, where an attack stands still",
    "DropoutAlways": "in eval mode, two passes over the same images give different outputs",
    "BatchMean": "in eval mode, the outputs for an image depend on the others in its batch",
    "ListOfLayers": "2 weights (of shape (64, 64), (64,)) are not among its parameters",
}
WRONG = {
    "NoGrad": ": no gradient reaches the images, so no attack can follow it; do all that forward",
    "Numpy": ": no gradient reaches the images",
    "OneHot": ": no gradient reaches the images",
    "Argmax": ": expected logits of shape (2, 10) for two images, got (2,)",
    "Pair": " for two images, got tuple; let forward return the logits alone",
    "PairInTraining": " for two images in training mode, got tuple; let forward return the logits",
    "Mapping": " for two images, got dict; let forward return the logits alone",
    "Thousand": "got (2, 1000); the dataset has 10 classes: take num_classes as an argument",
    "Maps": "got (2, 10, 1, 1); let forward end with flatten(1)",
    "Squeezed": "of shape (1, 10) for one image in eval mode, got (10,); squeeze() drops the batch",
    "Half": ": expected logits in float32, got torch.float16; let forward end with .float()",
    "Integers": ": expected logits in float32, got torch.int64",
    "Nan": ": its outputs are not finite (NaN, inf) before any training",
    "NanGradient": ": the gradient at the images is not finite (NaN, inf)",
    "FixedBatch": " fails on images of shape (1, 8, 8): RuntimeError: shape '[64, 64]' is invalid",
    "Computed": ": what __init__ computes of its weights is gone after a step; let forward do so",
    "LazyUnused": ": no pass reaches its lazy layers (network.other.weight, network.other.bias)",
    "OtherDevice": "same device, but found two (keep constants with register_buffer, or make them",
    "Frozen": ": its logits depend on no trainable parameter",
    "OneByOne": " fails on one image of shape (1, 8, 8) in eval mode: ValueError: Expected more",
}


def config(network: str, **sections: Any) -> Config:
    model = f"import:tests.helpers.odd_networks:{network}"
    return Config.model_validate(
        {"model": {"name": model}, "dataset": {"name": "digits"}, **sections}
    )


def tried(network: str, **sections: Any) -> tuple[nn.Module, list[str]]:
    """The network as a run would begin with it, and the doubts about it."""
    loaded = config(network, **sections)
    torch.manual_seed(0)
    model = build_model(loaded.model.name, in_shape=SHAPE, num_classes=10)
    return model, model_doubts(model, loaded, SHAPE, 10, 100)


def attributes(model: nn.Module) -> list[dict[str, Any]]:
    return [{k: v for k, v in vars(m).items() if not k.startswith("_")} for m in model.modules()]


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize("network", SOUND)
def test_a_sound_network_is_taken_and_left_as_it_is(network: str) -> None:
    model, doubts = tried(network)
    assert doubts == []
    torch.manual_seed(0)
    again = build_model(config(network).model.name, in_shape=SHAPE, num_classes=10)
    assert model.state_dict().keys() == again.state_dict().keys()
    for key, value in again.state_dict().items():
        assert torch.equal(model.state_dict()[key], value)
    assert [m.training for m in model.modules()] == [True] * len([*model.modules()])
    assert model(torch.rand(4, *SHAPE)).requires_grad


def test_the_looks_at_a_network_are_no_passes_that_it_remembers() -> None:
    model, _ = tried("FirstBatch")
    network = model.get_submodule("network")
    assert (network.ready, network.seen, float(network.passes)) == (False, [], 0.0)
    freeze_unused(model, SHAPE)
    assert (network.ready, network.scale.item()) == (False, 1.0)


def test_layers_that_wait_for_a_first_pass_are_trained() -> None:
    for network, layers in (("Lazy", 3), ("MadeInForward", 1)):
        model, _ = tried(network)
        shapes = [p.shape for p in model.parameters()]
        assert len(shapes) == 2 * layers and shapes[-2][0] == 10, network


def test_a_trial_draws_no_random_numbers_and_keeps_gradients_away() -> None:
    model, _ = tried("Dropout")
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    with trial(model):
        model(torch.rand(3, *SHAPE)).sum().backward()
        model.requires_grad_(False).eval()
    assert torch.equal(torch.rand(1), expected) and model.training
    assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(("network", "said"), DOUBTFUL.items())
def test_what_is_seldom_meant_in_a_network_is_a_warning(network: str, said: str) -> None:
    (doubt,) = tried(network)[1]
    assert said in doubt
    assert doubt.startswith(f"model.name: import:tests.helpers.odd_networks:{network}: ")


@pytest.mark.parametrize(("network", "said"), WRONG.items())
def test_a_network_that_breaks_the_contract_is_refused(network: str, said: str) -> None:
    with pytest.raises(SettingError) as error:
        tried(network)
    assert said in str(error.value) and "\n" not in str(error.value)
    assert str(error.value).startswith(f"model.name: {config(network).model.name}")


def test_a_batch_of_one_image_is_refused_where_batch_norm_cannot_train_on_it() -> None:
    with pytest.raises(SettingError, match=r"^training\.batch_size: .* fails on one image"):
        tried("NormTwice", training={"batch_size": 1})
    assert tried("Plain", training={"batch_size": 1})[1] == []


def test_gradalign_needs_a_network_that_can_be_differentiated_twice() -> None:
    keys = {"name": "pgd", "gradalign": 0.2}
    assert tried("Plain", objective=keys)[1] == tried("Once")[1] == []
    with pytest.raises(SettingError, match=r"^objective\.gradalign: needs second derivatives"):
        tried("Once", objective=keys)


def test_averaging_copies_what_a_network_computes_and_says_what_cannot_be_copied() -> None:
    with pytest.warns(FutureWarning):
        model, _ = tried("OldWeightNorm")
    average = averaged(model, 0.5)
    x = torch.rand(3, *SHAPE)
    assert torch.equal(average(x), model(x))
    assert model.get_submodule("network").layer.weight.requires_grad
    with pytest.raises(SettingError, match=r"^training\.ema: .*cannot pickle '_thread\.lock'"):
        averaged(tried("WithLock")[0], 0.5)


def test_built_in_networks_need_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = Config.model_validate({"model": {"name": "mlp"}, "dataset": {"name": "digits"}})
    model = build_model("mlp", in_shape=SHAPE, num_classes=10, width=4, depth=1)
    monkeypatch.setattr(model, "forward", None)
    assert model_doubts(model, loaded, SHAPE, 10, 100) == []
