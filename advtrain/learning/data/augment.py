"""Random crops and mirror images, drawn for each image, on the device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from advtrain.learning.streams import Draws, Source


def crop_and_flip(x: Tensor, source: Source) -> Tensor:
    """Pad by an eighth (4 of 32 pixels), crop to the old size, mirror half of the images.

    x: (n, c, h, w); `source` is on its device. torchvision's transforms would crop a whole
    batch alike and take no generator.
    """
    n, _, height, width = x.shape
    draws = source if isinstance(source, Draws) else Draws(source, n, slice(None))
    whole, share, generator = draws.whole, draws.share, draws.generator
    pads = [max(1, size // 8) for size in (height, width)]
    padded = F.pad(x, (pads[1], pads[1], pads[0], pads[0]))
    rows, columns = (
        torch.arange(size, device=x.device)
        + torch.randint(2 * pad + 1, (whole, 1), generator=generator, device=x.device)[share]
        for size, pad in zip((height, width), pads, strict=True)
    )
    mirrored = torch.rand(whole, 1, generator=generator, device=x.device)[share] < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    image = torch.arange(n, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2
    )
