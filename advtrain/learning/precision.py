"""The passes of a network in bfloat16, compiled, or both, on the weights of the original."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from advtrain.config.schema import Training


def fast(model: nn.Module, keys: Training) -> nn.Module:
    """The model in bf16 and compiled, if asked for; its weights and mode are the original's."""
    device = next(model.parameters()).device
    if keys.precision == "bf16":
        model = LowPrecision(model, device.type)
    if not keys.compile:
        return model
    mode = "reduce-overhead" if device.type == "cuda" else "default"  # the former: CUDA graphs
    compiled = torch.compile(model, mode=mode, dynamic=False)
    assert isinstance(compiled, nn.Module)
    return compiled


class LowPrecision(nn.Module):
    """A network whose passes are in bfloat16, and its weights and logits in float32."""

    def __init__(self, network: nn.Module, device: str) -> None:
        super().__init__()
        self.network, self.device = network, device

    def forward(self, x: Tensor) -> Tensor:
        """(n, ...) inputs to (n, classes) logits."""
        with torch.autocast(self.device, torch.bfloat16):
            logits: Tensor = self.network(x)
        return logits.float()
