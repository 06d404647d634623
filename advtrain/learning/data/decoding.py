"""Image files to tensors of one shape."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from advtrain.errors import AdvtrainError

_GREY = ("1", "L", "LA")
_EIGHT_BIT = (*_GREY, "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "LAB")
_ALPHA = ("LA", "PA", "RGBA")
_LOOKED_AT = 200  # files whose headers decide between grey and colour


@dataclass(frozen=True)
class Decoder:
    """Decodes a file to uint8 (channels, height, width); all files must agree in size.

    `resize` crops and scales to the shape's square; without it another size is an error.
    """

    shape: tuple[int, int, int]
    resize: bool
    alpha: bool = False  # whether files have a transparency, which is not decoded

    def __call__(self, file: Path) -> Tensor:
        """The image; raises AdvtrainError that names the file."""
        channels, height, width = self.shape
        image = _open(file).convert("L" if channels == 1 else "RGB")
        if self.resize:
            image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
        elif image.size != (width, height):
            raise AdvtrainError(
                f"{file}: {image.width}x{image.height} pixels where others have {width}x{height}; "
                "set dataset.image_size to bring all to one size"
            )
        pixels = torch.from_numpy(np.array(image))
        return pixels[None] if channels == 1 else pixels.permute(2, 0, 1).contiguous()


def decoder_for(files: list[Path], image_size: int | None) -> Decoder:
    """The decoder that suits the files: grey unless one is in colour, sized as the first."""
    sample = [files[i] for i in np.unique(np.linspace(0, len(files) - 1, _LOOKED_AT).astype(int))]
    modes = {_open(file).mode for file in sample}
    channels = 1 if modes <= {*_GREY} else 3
    width, height = (image_size, image_size) if image_size else _open(files[0]).size
    return Decoder((channels, height, width), image_size is not None, bool(modes & {*_ALPHA}))


def _open(file: Path) -> Image.Image:
    try:
        with Image.open(file) as image:
            mode = image.mode
            image.load()
    except Exception as error:  # PIL raises many kinds for what is not an image
        raise AdvtrainError(f"{file}: cannot be read as an image: {error}") from None
    if mode not in _EIGHT_BIT:
        raise AdvtrainError(f"{file}: {mode} pixels; expected 8 bits a channel")
    return image
