"""Apply a translator to Pillow images, with optional conversion to pixel art and blending."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan.data.decoding.color import unpremultiply
from gan.images.pixel_art import to_pixel_art
from gan.inference.tiling import translate


@dataclass(frozen=True)
class ImageTranslator:
    """Translates RGB and RGBA images, and keeps alpha.

    Args:
        channels: number of channels of the network.
        tile: side of the tiles of large images, in pixels.
        cell: side of the cells of pixel art, in pixels; 1 disables cells.
        palette: colors of pixel art; None disables the palette.
        strength: weight of the translation: 0 keeps the image, 1 is the full translation.
    """

    network: Any
    channels: int
    tile: int
    cell: int
    palette: np.ndarray | None
    strength: float

    def __call__(self, image: Image.Image) -> Image.Image:
        result = Image.fromarray(self.translate(image).permute(1, 2, 0).contiguous().numpy())
        if self.strength < 1:
            result = Image.blend(image.convert("RGB"), result, self.strength)
        if image.mode == "RGBA":
            result.putalpha(image.getchannel("A"))
        return result

    def translate(self, image: Image.Image) -> Tensor:
        """Return the full translation as RGB, uint8 (3, H, W)."""
        mode = {1: "L", 3: "RGB", 4: "RGBa"}[self.channels]  # RGBa is premultiplied
        given = image.convert("RGBA" if mode == "RGBa" else "RGB").convert(mode)
        if image.mode == "RGBA" and mode != "RGBa":  # hide the colors of transparent pixels from the network
            given.paste("white", (0, 0), image.getchannel("A").point(lambda alpha: 255 * (alpha == 0)))
        pixels = np.array(given).reshape(image.height, image.width, -1)
        result = translate(self.network, torch.from_numpy(pixels).permute(2, 0, 1), self.tile)
        if self.channels == 4:
            result = torch.from_numpy(unpremultiply(result.numpy())[:3])
        result = result.expand(3, -1, -1)
        if not self.makes_pixel_art:
            return result
        alpha = torch.from_numpy(np.array(image.getchannel("A"))) if image.mode == "RGBA" else None
        return to_pixel_art(result, self.cell, self.palette, alpha)

    @property
    def makes_pixel_art(self) -> bool:
        return self.cell > 1 or self.palette is not None
