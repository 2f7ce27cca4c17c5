"""Apply a translator to Pillow images, with optional conversion to pixel art and blending."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan.data.decoding.color import unpremultiply
from gan.inference.tiling import translate


@dataclass(frozen=True)
class ImageTranslator:
    """Translates RGB and RGBA images, and keeps alpha.

    Args:
        channels: number of channels of the network.
        tile: side of the tiles of large images, in pixels; None does not split them.
        strength: weight of the translation: 0 keeps the image, 1 is the full translation.
        to_pixel_art: function from a translation, uint8 RGB (3, H, W), and its alpha (H, W) or None to pixel art, such
            as `gan.images.pixel_art.to_pixel_art`; None keeps the translation.
        exact: whether files keep every color of the result, as a palette needs.
    """

    network: Any
    channels: int
    tile: int | None
    strength: float = 1.0
    to_pixel_art: Callable[[Tensor, Tensor | None], Tensor] | None = None
    exact: bool = False

    def __call__(self, image: Image.Image) -> Image.Image:
        result = Image.fromarray(self.translate(image).permute(1, 2, 0).contiguous().numpy())
        if self.strength < 1:
            result = Image.blend(image.convert("RGB"), result, self.strength)
        if image.mode == "RGBA":
            result.putalpha(image.getchannel("A"))
        return result

    def translate(self, image: Image.Image) -> Tensor:
        """Return the full translation as RGB, uint8 (3, H, W)."""
        result = translate(self.network, planes_of(image, self.channels), self.tile)
        if self.channels == 4:
            result = torch.from_numpy(unpremultiply(result.numpy())[:3])
        result = result.expand(3, -1, -1)
        if self.to_pixel_art is None:
            return result
        alpha = torch.from_numpy(np.array(image.getchannel("A"))) if image.mode == "RGBA" else None
        return self.to_pixel_art(result, alpha)


def planes_of(image: Image.Image, channels: int) -> Tensor:
    """Return an RGB or RGBA image as uint8 (channels, H, W) for a network: gray, RGB, or premultiplied RGBA."""
    mode = {1: "L", 3: "RGB", 4: "RGBa"}[channels]  # RGBa is premultiplied
    given = image.convert("RGBA" if mode == "RGBa" else "RGB").convert(mode)
    if image.mode == "RGBA" and mode != "RGBa":  # hide the colors of transparent pixels from the network
        given.paste("white", (0, 0), image.getchannel("A").point(lambda alpha: 255 * (alpha == 0)))
    pixels = np.array(given).reshape(image.height, image.width, -1)
    return torch.from_numpy(pixels).permute(2, 0, 1)
