"""What `training.precision: bf16` and `training.compile: true` change, on the digits demo."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from advtrain.config.load import load_config
from advtrain.config.schema import Training
from advtrain.learning.models import build_model
from advtrain.learning.precision import fast
from advtrain.store import checkpoint
from advtrain.tasks.train import train
from bench.workloads import images

CONFIG = Path(__file__).parent.parent / "configs" / "digits.yaml"
SEEDS = (0, 1, 2)
SETTINGS = {
    "default": Training(),
    "precision=bf16": Training(precision="bf16"),
    "compile=true": Training(compile=True),
}


def one_round() -> dict[str, Any]:
    """For each setting: final robust accuracies, images a second, and what one gradient loses."""
    found: dict[str, Any] = {}
    for name, keys in SETTINGS.items():
        if keys.precision == "bf16" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            continue  # emulated, over a hundred times slower
        overrides = [] if name == "default" else [name]
        with tempfile.TemporaryDirectory() as folder:
            runs = [
                train(load_config(CONFIG, [f"seed={seed}", "every=60", *overrides]), folder,
                      device="cpu")
                for seed in SEEDS
            ]  # fmt: skip
            if name == "default":
                trained = build_model("small_cnn", in_shape=(1, 8, 8), num_classes=10)
                checkpoint.load_weights(runs[0].dir / "last.pt", trained)
            found[name] = {
                "robust": [float(run.metrics.test_robust_acc.iloc[-1]) for run in runs],
                "speed": statistics.median(
                    v for run in runs for v in run.metrics.images_per_second
                ),
            } | _compared(trained, keys)  # fmt: skip
    return found


def _compared(trained: nn.Module, keys: Training) -> dict[str, float]:
    """Change of the loss and share of input gradients' signs, against eager fp32."""
    pixels, y, _ = images("digits", 1000)
    x = pixels.float() / 255
    plain, other = _gradient(trained.eval(), x, y, Training()), _gradient(trained, x, y, keys)
    return {
        "loss": abs(float(other[0] - plain[0])) / float(plain[0]),
        "signs": float((other[1].sign() != plain[1].sign()).float().mean()),
    }


def _gradient(model: nn.Module, x: Tensor, y: Tensor, keys: Training) -> tuple[Tensor, Tensor]:
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=keys.precision == "bf16"):
        loss = F.cross_entropy(fast(model, keys)(x), y)
    return loss.detach(), torch.autograd.grad(loss, x)[0]
