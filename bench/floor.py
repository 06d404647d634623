"""The floor: the passes that any implementation has to make, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from bench.workloads import Workload, floats, textbook_model, textbook_optimizer


def floor(workload: Workload) -> Callable[[], None]:
    """steps x (forward, gradient of the input), forward, full backward, optimizer; eager, NCHW."""
    model = textbook_model(workload)
    optimizer = textbook_optimizer(workload, model)
    images, labels = floats(workload)
    batches = list(zip(images.split(workload.batch), labels.split(workload.batch), strict=True))

    def go() -> None:
        for _ in range(workload.epochs):
            for x, y in batches:
                x = x.detach().requires_grad_()
                model.eval()
                for _ in range(workload.steps):
                    torch.autograd.grad(F.cross_entropy(model(x), y), x)
                x = x.detach()
                model.train()
                optimizer.zero_grad()
                F.cross_entropy(model(x), y).backward()
                optimizer.step()

    return go


def flops_per_image(workload: Workload) -> float:
    """Floating-point operations of the floor, as torch counts them."""
    model = textbook_model(workload)
    images, labels = floats(workload)
    x, y = images[:2].requires_grad_(), labels[:2]  # two, for batch norm

    def passes() -> float:
        with FlopCounterMode(display=False) as counter:
            F.cross_entropy(model(x), y).backward()
        return counter.get_total_flops() / len(x)

    x.requires_grad_(False)
    update = passes()
    x.requires_grad_(True)
    model.requires_grad_(False)
    return workload.steps * passes() + update


def matmul_peak(threads: int, size: int = 2048, tries: int = 12) -> float:
    """Floating-point operations a second of the fastest of several square fp32 products."""
    torch.set_num_threads(threads)
    a, b = torch.rand(size, size), torch.rand(size, size)
    best = float("inf")
    for _ in range(tries):
        began = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - began)
    return 2 * size**3 / best
