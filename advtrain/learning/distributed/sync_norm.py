"""Batch normalisation by the statistics of a batch that several processes share.

torch's SyncBatchNorm refuses tensors on a CPU, and its backward pass cannot be differentiated.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from advtrain.errors import SettingError
from advtrain.learning.distributed.group import Group

_PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class SyncNorm(_BatchNorm):
    """nn.BatchNorm whose passes in training mode see the batches of all processes as one.

    All must make the same passes. Weights, buffers and evaluation mode are those of nn.BatchNorm.
    """

    def __init__(self, like: _BatchNorm, group: Group) -> None:
        super().__init__(like.num_features, like.eps, like.momentum, like.affine,
                         like.track_running_stats)  # fmt: skip
        self.weight, self.bias = like.weight, like.bias
        self.running_mean, self.running_var = like.running_mean, like.running_var
        self.num_batches_tracked = like.num_batches_tracked
        self.training, self.group = like.training, group

    def _check_input_dim(self, input: Tensor) -> None:
        pass  # as many as the layer that this one replaces was made for

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # no graph spans processes
    def forward(self, input: Tensor) -> Tensor:
        """(n, channels, ...) to the same shape, normalised over all but the channels."""
        if not self.training:
            return super().forward(input)
        x = input.float() if input.dtype in (torch.bfloat16, torch.float16) else input
        dims = [i for i in range(x.dim()) if i != 1]
        shape = [-1 if i == 1 else 1 for i in range(x.dim())]
        count = x.new_tensor([x.numel() // x.shape[1]])
        # The mean first and then the squares around it: their difference would lose digits.
        total = _Sum.apply(torch.cat([x.sum(dims), count]), self.group)
        mean, count = total[:-1] / total[-1], total[-1].detach()
        centred = x - mean.view(shape)
        var = _Sum.apply(centred.square().sum(dims), self.group) / count
        self._record(mean.detach(), var.detach() * (count / (count - 1)))
        y: Tensor = centred * (var + self.eps).rsqrt().view(shape)
        if self.affine:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return y.to(input.dtype)

    @torch.no_grad()
    def _record(self, mean: Tensor, var: Tensor) -> None:
        """Let the running statistics follow."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(var.to(self.running_var.dtype), share)


class _Sum(torch.autograd.Function):
    # Each process's result depends on all inputs, so each input has the gradients of all results.

    @staticmethod
    def forward(ctx: Any, part: Tensor, group: Group) -> Tensor:
        ctx.group = group
        return group.sum(part)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return _Sum.apply(grad, ctx.group), None


def synchronised(model: nn.Module, group: Group) -> None:
    """Put a SyncNorm in the place of every batch norm of the model.

    SettingError where one is of the user's own making, whose statistics nobody here knows.
    """
    for parent in list(model.modules()):
        for name, layer in parent.named_children():
            if not isinstance(layer, _BatchNorm):
                continue
            if type(layer) in _PLAIN:
                setattr(parent, name, SyncNorm(layer, group))
            elif not isinstance(layer, SyncNorm):
                raise SettingError(
                    "training.batch_norm",
                    f"{type(layer).__name__} cannot be synchronised over processes; "
                    "expected local, or torch's own batch norm",
                )
