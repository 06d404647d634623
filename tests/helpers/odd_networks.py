"""Networks for 8x8 images as people bring them: sound ones that are odd, and ones that are not."""

from __future__ import annotations

import threading
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Plain(nn.Module):
    """One layer; others change what comes before it or after it."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.layer = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Any:
        return self.after(self.layer(self.before(x).flatten(1)))

    def before(self, x: Tensor) -> Tensor:
        return x

    def after(self, z: Tensor) -> Any:
        return z


# --- sound ------------------------------------------------------------


class OldWeightNorm(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.utils.weight_norm(self.layer)


class OldSpectralNorm(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.utils.spectral_norm(self.layer)


class WithLock(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


class Lazy(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.LazyConv2d(2, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(10))


class MadeInForward(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer: nn.Module | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.layer is None:
            self.layer = nn.Linear(x[0].numel(), 10)
        out: Tensor = self.layer(x.flatten(1))
        return out


class FirstBatch(Plain):
    """Takes its scale from the first batch that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.ready, self.seen = nn.Parameter(torch.ones(())), False, list[int]()
        self.register_buffer("passes", torch.zeros(()))

    def before(self, x: Tensor) -> Tensor:
        self.passes += 1
        self.seen.append(len(x))
        if not self.ready:
            self.scale.data = 1 / x.detach().std()
            self.ready = True
        return x * self.scale


class Dropout(Plain):
    def after(self, z: Tensor) -> Tensor:
        return F.dropout(z, training=self.training)


class InPlace(Plain):
    def before(self, x: Tensor) -> Tensor:
        return x.sub_(0.5).mul_(2)


class LogSoftmax(Plain):
    def after(self, z: Tensor) -> Tensor:
        return z.log_softmax(1)


class ZeroLast(Plain):
    def __init__(self) -> None:
        super().__init__()
        nn.init.zeros_(self.layer.weight)


class NormTwice(nn.Sequential):
    """Trains on batches of 2 or more, and sees images one by one in eval mode."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, 10))


class HalfFrozen(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 8).requires_grad_(False), nn.Linear(8, 10))


# --- doubtful ------------------------------------------------------------


class Softmax(Plain):
    def after(self, z: Tensor) -> Tensor:
        return z.softmax(1)


class Ensemble(Plain):
    def after(self, z: Tensor) -> Tensor:
        return (z.softmax(1) + (2 * z).softmax(1)) / 2


class SoftmaxInEval(Plain):
    def after(self, z: Tensor) -> Tensor:
        return z if self.training else z.softmax(1)


class Sigmoid(Plain):
    def after(self, z: Tensor) -> Tensor:
        return z.sigmoid()


class Rounding(Plain):
    def before(self, x: Tensor) -> Tensor:
        return x.round()


class DropoutAlways(Plain):
    def after(self, z: Tensor) -> Tensor:
        return F.dropout(z)


class BatchMean(Plain):
    def before(self, x: Tensor) -> Tensor:
        return x - x.mean(0)


class ListOfLayers(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.layers = [nn.Linear(64, 64)]

    def before(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers[0](x.flatten(1))
        return out


# --- wrong ------------------------------------------------------------


class NoGrad(Plain):
    def before(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return 2 * x


class Numpy(Plain):
    def before(self, x: Tensor) -> Tensor:
        return torch.from_numpy(2 * x.detach().numpy())


class OneHot(Plain):
    def after(self, z: Tensor) -> Tensor:
        return F.one_hot(z.argmax(1), 10).float()


class Argmax(Plain):
    def after(self, z: Tensor) -> Tensor:
        return z.argmax(1)


class Pair(Plain):
    def after(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z, z


class PairInTraining(Plain):
    def after(self, z: Tensor) -> Any:
        return (z, z) if self.training else z


class Mapping(Plain):
    def after(self, z: Tensor) -> dict[str, Tensor]:
        return {"logits": z}


class Thousand(Plain):
    def __init__(self) -> None:
        super().__init__(1000)


class Maps(Plain):
    def after(self, z: Tensor) -> Tensor:
        return z[..., None, None]


class Squeezed(Plain):
    def after(self, z: Tensor) -> Tensor:
        return z.squeeze()


class Half(Plain):
    def after(self, z: Tensor) -> Tensor:
        return z.half()


class Integers(Plain):
    def after(self, z: Tensor) -> Tensor:
        return z.long()


class Nan(Plain):
    def after(self, z: Tensor) -> Tensor:
        return z * float("nan")


class NanGradient(Plain):
    def before(self, x: Tensor) -> Tensor:
        return x + (0 * x).sqrt()


class FixedBatch(Plain):
    def before(self, x: Tensor) -> Tensor:
        return x.view(64, 64)


class Computed(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(64))
        self.squared = self.scale.square()

    def before(self, x: Tensor) -> Tensor:
        return x.flatten(1) * self.squared


class LazyUnused(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.other = nn.LazyLinear(3)


class OtherDevice(Plain):
    def before(self, x: Tensor) -> Tensor:
        raise RuntimeError("Expected all tensors to be on the same device, but found two")


class Frozen(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.requires_grad_(False)


class OneByOne(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.BatchNorm1d(64, track_running_stats=False), Plain())


class _Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return 2 * x

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return 2 * grad


class Once(Plain):
    """Its gradient cannot be differentiated again."""

    def before(self, x: Tensor) -> Tensor:
        out: Tensor = _Once.apply(x)
        return out
