"""Sums over an epoch's batches that stay on the device until the epoch ends."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from advtrain.learning.distributed.group import ALONE, Group
from advtrain.records import EpochRecord


class Descent(NamedTuple):
    """What one step of the optimizer went by.

    `loss` is the scalar that was descended, a mean over the images here; `robust_logits` (n,
    classes) those on the adversarial examples; `grad_norm` the gradient's l2 norm before clipping.
    """

    loss: Tensor
    robust_logits: Tensor | None
    grad_norm: Tensor


class Tally:
    """Adds up what `EpochRecord` reports of training, and notices the first number not finite."""

    def __init__(
        self, device: torch.device, group: Group = ALONE, state: dict[str, Any] | None = None
    ) -> None:
        self._group, self.device = group, device
        # Apple's GPUs have no double precision.
        precise = torch.float32 if device.type == "mps" else torch.float64
        self._sums = torch.zeros(3, device=device, dtype=precise)  # loss, hits, gradient norm
        self._first_bad = torch.zeros((), device=device, dtype=torch.int64)  # from 1; 0: none
        self._waits = device.type != "cpu"  # to look at an accelerator is to wait for it
        self.images = 0
        self._batches = 0
        self._robust = False
        if state:
            self._load(state)

    @torch.no_grad()
    def add(self, descent: Descent, y: Tensor, images: int | None = None) -> None:
        """Count a step in, with the labels (n,) of its images.

        Of several processes each gives its own loss, logits and labels, and the gradient's norm
        and the number of `images` of the whole batch.
        """
        loss, robust_logits, grad_norm = descent
        images = len(y) if images is None else images
        self._batches += 1
        self.images += images
        parts = [torch.zeros_like(loss), torch.zeros_like(loss), grad_norm]
        if robust_logits is not None:
            self._robust = True
            parts[0] = F.cross_entropy(robust_logits, y, reduction="sum")
            parts[1] = (robust_logits.argmax(1) == y).sum()
        sums = torch.stack([part.to(self._sums.dtype) for part in parts])
        if self._group.size > 1:  # one sum a step, so that all see a bad batch at the same
            *of_all, loss = self._group.sum(torch.stack([*sums[:2], loss.to(sums.dtype)]))
            sums = torch.stack([*of_all, sums[2]])
        self._sums += sums
        bad = ~(torch.isfinite(loss) & torch.isfinite(grad_norm)) & (self._first_bad == 0)
        self._first_bad += bad * self._batches

    def first_bad(self, final: bool) -> int:
        """The first batch (from 1) whose loss or gradient was not finite, or 0.

        Looks at the `final` batch alone where looking is slow.
        """
        if final or not self._waits:
            return int(self._first_bad)
        return 0

    def state(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "sums": self._sums.tolist(),
            "first_bad": int(self._first_bad),
            "images": self.images,
            "batches": self._batches,
            "robust": self._robust,
        }

    def _load(self, state: dict[str, Any]) -> None:
        """Go on from what `state` of another gave."""
        self._sums.copy_(torch.tensor(state["sums"], dtype=self._sums.dtype))
        self._first_bad.fill_(state["first_bad"])
        self.images, self._batches = state["images"], state["batches"]
        self._robust = state["robust"]

    def into(self, record: EpochRecord, seconds: float) -> None:
        """Write the means into the record, and how fast the images were trained on."""
        loss, hits, norms = self._sums.tolist()
        if self._robust:
            record.train_robust_loss = loss / self.images
            record.train_robust_acc = hits / self.images
        record.grad_norm = norms / self._batches
        record.images_per_second = self.images / seconds
