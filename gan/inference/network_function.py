"""A trained translator network as a function of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan.data.decoding.reader import unpremultiply
from gan.inference.image_function import ImageFunction
from gan.inference.tiling import is_tiled, translate


class NetworkFunction(ImageFunction):
    """Translates with a network. Its random parts depend on the pixels alone.

    Args:
        network: a translator of one direction, in eval mode.
        channels: number of channels of the network.
        tile: side of the tiles of large images, in pixels; None does not split them.
    """

    takes_alpha = True

    def __init__(self, network: Any, channels: int, tile: int | None) -> None:
        self.network = network
        self.channels = channels
        self.tile = tile

    def __call__(self, pixels: np.ndarray, number: int) -> np.ndarray:
        result = translate(self.network, planes_of(Image.fromarray(pixels), self.channels), self.tile)
        if self.channels == 4:
            result = torch.from_numpy(unpremultiply(result.numpy())[:3])
        return result.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()

    def tile_side(self, height: int, width: int) -> int | None:
        return self.tile if is_tiled(self.network, height, width, self.tile) else None


def planes_of(image: Image.Image, channels: int) -> Tensor:
    """Return an RGB or RGBA image as uint8 (channels, H, W) for a network: gray, RGB, or premultiplied RGBA."""
    mode = {1: "L", 3: "RGB", 4: "RGBa"}[channels]  # RGBa is premultiplied
    given = image.convert("RGBA" if mode == "RGBa" else "RGB").convert(mode)
    if image.mode == "RGBA" and mode != "RGBa":  # hide the colors of transparent pixels from the network
        given.paste("white", (0, 0), image.getchannel("A").point(lambda alpha: 255 * (alpha == 0)))
    pixels = np.array(given).reshape(image.height, image.width, -1)
    return torch.from_numpy(pixels).permute(2, 0, 1)
