"""What is fast computes the same as what is plain: bench/plain.py, tests/helpers/reference.py."""

from __future__ import annotations

import copy
import shutil
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from advtrain.config.identity import identity
from advtrain.config.schema import Config
from advtrain.learning.attacks.pgd import pgd
from advtrain.learning.data.images import Resident
from advtrain.learning.data.splits import Data
from advtrain.learning.loop import Hooks, train_epoch
from advtrain.learning.models import build_model
from advtrain.learning.models.classifier import Classifier
from advtrain.learning.models.stem import Stem
from advtrain.learning.optimizer import build_optimizer
from advtrain.learning.session import Session
from advtrain.learning.streams import stream
from advtrain.records import EpochRecord
from bench.plain import plain
from bench.workloads import WORKLOADS, textbook_model
from tests.helpers import reference

needs_compiler = pytest.mark.skipif(
    not (shutil.which("c++") or shutil.which("g++")), reason="torch.compile needs a C++ compiler"
)
NETWORKS = [("small_cnn", (1, 8, 8)), ("madry_cnn", (1, 28, 28)), ("preact_resnet18", (3, 16, 16))]


def config_of(model: str, **training: Any) -> Config:
    return Config.model_validate({
        "model": {"name": model},
        "dataset": {"name": "digits"},
        "attack": {"eps": 0.1, "steps": 3},
        "optimizer": {"name": "sgd", "lr": 0.05},
        "schedule": {"name": "constant"},
        "training": {"epochs": 1, "batch_size": 16, **training},
    })  # fmt: skip


def images(shape: tuple[int, int, int], count: int = 16) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(count, *shape, generator=generator)
    return x, torch.randint(10, (count,), generator=generator)


def built(name: str, shape: tuple[int, int, int], **args: Any) -> Classifier:
    torch.manual_seed(0)
    model = build_model(name, in_shape=shape, num_classes=10, **args)
    model.normalize.fit(torch.full(shape[:1], 0.4), torch.full(shape[:1], 0.3))
    return model.to(memory_format=torch.channels_last)


def one_step(
    model: Classifier, config: Config, shape: tuple[int, int, int]
) -> tuple[EpochRecord, tuple[Tensor, Tensor]]:
    """An epoch of one batch by the real loop, and the reference's loss and gradient norm."""
    slow = plain(config.model.name, copy.deepcopy(model))
    x, y = images(shape)
    data = Resident(x, y, torch.arange(len(y)))
    splits = Data(data, None, data, shape, 10, torch.zeros(1), torch.ones(1), "")
    optimizer = build_optimizer(model, config.optimizer)
    record = train_epoch(Session(config, splits, model, optimizer), Hooks())

    order = torch.randperm(len(y), generator=stream(0, "order", 1))
    x, y, attack = x[order], y[order], config.attack
    noise = torch.empty_like(x).uniform_(
        -attack.eps, attack.eps, generator=stream(0, "attack", 1, 0)
    )
    start = (x + noise).clamp(0, 1)
    x_adv = reference.attack(slow, x, y, start, attack.eps, attack.step_size, attack.steps)
    found = reference.sgd_step(slow, x_adv, y, 0.05, 5e-4)
    if config.training.precision == "fp32":
        # A pixel whose gradient is within rounding of 0 may go either way.
        own, theirs = model.state_dict(), slow.state_dict()
        change = torch.cat([(own[k] - theirs[k]).double().flatten() for k in own]).norm()
        share = 5e-3 if config.model.name == "preact_resnet18" else 1e-3
        assert change < share * 0.05 * found[1]  # of what the step changed
    return record, found


@pytest.mark.parametrize(("name", "shape"), NETWORKS)
def test_a_training_step_equals_the_plain_one(name: str, shape: tuple[int, int, int]) -> None:
    record, (loss, norm) = one_step(built(name, shape), config_of(name), shape)
    assert record.train_robust_loss == pytest.approx(float(loss), rel=1e-5)
    assert record.grad_norm == pytest.approx(float(norm), rel=1e-4)


@needs_compiler
@pytest.mark.filterwarnings("ignore")  # of torch.compile's own parts
def test_a_compiled_step_equals_the_plain_one() -> None:
    shape = (1, 8, 8)
    record, (loss, norm) = one_step(
        built("small_cnn", shape), config_of("small_cnn", compile=True), shape
    )
    assert record.train_robust_loss == pytest.approx(float(loss), rel=1e-5)
    assert record.grad_norm == pytest.approx(float(norm), rel=1e-4)


@pytest.mark.parametrize(("name", "shape"), NETWORKS)
def test_bf16_is_near_and_keeps_fp32_weights(name: str, shape: tuple[int, int, int]) -> None:
    model = built(name, shape)
    record, (loss, _) = one_step(model, config_of(name, precision="bf16"), shape)
    assert record.train_robust_loss != pytest.approx(float(loss), rel=1e-7)  # it is another
    assert record.train_robust_loss == pytest.approx(float(loss), rel=2e-2)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.parametrize(("name", "shape"), NETWORKS)
def test_the_attack_equals_the_plain_one(name: str, shape: tuple[int, int, int]) -> None:
    model = built(name, shape)
    x, y = images(shape)
    fast_adv = pgd(model, x, y, norm="linf", eps=0.1, alpha=0.03, steps=5, start="zero")
    slow = plain(name, copy.deepcopy(model))
    slow_adv = reference.attack(slow, x, y, x, 0.1, 0.03, 5)
    # A gradient within rounding of 0 may have another sign.
    assert ((fast_adv - slow_adv).abs() > 1e-6).float().mean() < 1e-3


class Asked(TorchDispatchMode):
    """Notes of which of input, weight and bias each convolution is asked for the gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.masks: list[list[bool]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.convolution_backward.default:
            self.masks.append(args[-1])
        return func(*args, **(kwargs or {}))


def test_the_attack_computes_no_gradient_of_a_weight() -> None:
    model, (x, y) = built("small_cnn", (1, 8, 8)), images((1, 8, 8))
    with Asked() as asked:
        pgd(model, x, y, norm="linf", eps=0.1, alpha=0.03, steps=2, start="zero")
    assert asked.masks == [[True, False, False]] * 2  # of the second; the first has its own way
    with Asked() as asked:
        model(x.requires_grad_()).sum().backward()
    assert asked.masks == [[True, True, True], [False, True, True]]


@pytest.mark.parametrize(("inside", "size", "bias"), [(1, 3, True), (3, 5, False), (2, 1, True)])
def test_the_stem_has_the_gradients_of_a_convolution(inside: int, size: int, bias: bool) -> None:
    stem, own = stem_and_convolution(inside, 6, size, bias)
    x = torch.rand(4, inside, 7, 9, dtype=torch.float64, requires_grad=True)
    weights = torch.rand(4, 6, 7, 9, dtype=torch.float64)
    found = []
    for layer in (stem, own):
        out = layer(x)
        inputs = [x, *layer.parameters()]
        first = torch.autograd.grad((out**2 * weights).sum(), inputs, create_graph=True)
        # Of a loss in which the gradient of the input stands, as GradAlign's.
        second = torch.autograd.grad((first[0] ** 2).sum(), inputs)
        found.append([out, *first, *second])
    for a, b in zip(*found, strict=True):
        assert float(b.detach().abs().max()) > 0
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(("inside", "size", "bias"), [(1, 3, True), (3, 5, False), (2, 1, True)])
def test_the_stem_has_the_gradients_of_finite_differences(
    inside: int, size: int, bias: bool
) -> None:
    stem, _ = stem_and_convolution(inside, 2, size, bias)
    x = torch.rand(2, inside, 5, 4, dtype=torch.float64, requires_grad=True)
    names = [name for name, _ in stem.named_parameters()]

    def output(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(stem, dict(zip(names, values, strict=True)), (x,))

    inputs = (x, *stem.parameters())
    assert type(output(*inputs).grad_fn).__name__ == "_ConvolutionBackward"  # not torch's own
    assert torch.autograd.gradcheck(output, inputs)
    assert torch.autograd.gradgradcheck(output, inputs)


def stem_and_convolution(
    inside: int, outside: int, size: int, bias: bool
) -> tuple[Stem, nn.Conv2d]:
    """A stem and torch's own convolution of the same weights, in float64."""
    torch.manual_seed(0)
    stem = Stem(inside, outside, size, bias).double()
    own = nn.Conv2d(inside, outside, size, padding=size // 2, bias=bias).double()
    assert list(stem.state_dict()) == list(own.state_dict())
    own.load_state_dict(stem.state_dict())
    return stem, own


@pytest.mark.parametrize("name", WORKLOADS)
def test_peers_of_the_bench_train_the_same_function_of_plain_layers(name: str) -> None:
    workload = WORKLOADS[name]
    peers = textbook_model(workload)
    assert {type(m) for m in peers.modules() if isinstance(m, nn.Conv2d)} == {nn.Conv2d}
    assert all(p.is_contiguous() for p in peers.parameters())
    own = built(workload.model, workload.shape)
    own.load_state_dict(peers.state_dict())
    x, _ = images(workload.shape, 2)
    torch.testing.assert_close(peers.eval()(x), own.eval()(x), rtol=1e-4, atol=1e-5)
    kinds = [type(m).__name__ for m in peers.network]
    first = ["Conv2d", "ReLU"] if workload.model == "madry_cnn" else ["Conv2d"]
    assert kinds[: len(first)] == first


def test_precision_and_compile_count_for_identity_unless_default() -> None:
    plain = identity(config_of("small_cnn"))
    assert identity(config_of("small_cnn", precision="fp32", compile=False)) == plain
    others = {
        identity(config_of("small_cnn", precision="bf16")),
        identity(config_of("small_cnn", compile=True)),
    }
    assert len(others | {plain}) == 3
