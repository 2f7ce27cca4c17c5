"""A color map fitted to two folders in closed form, as a function of images: `gan translate --fit PHOTOS RETRO`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gan.common import digest
from gan.common.errors import UserError
from gan.common.output import counted
from gan.data.module import ImageDataModule
from gan.data.translation import WHOLE_SIDE
from gan.images.convert import to_float, to_uint8
from gan.inference.image_function import ImageFunction
from gan.networks.tile_position import TilePosition
from gan.networks.transfer.choose import MIN_IMAGES, Choice, choose
from gan.networks.transfer.color_map import ColorMap
from gan.networks.transfer.fit import visible

FIT_SIZE = WHOLE_SIDE  # side in pixels to which images are scaled for a fit
FIT_IMAGES = 500  # images of a folder for a fit, spread evenly over all
BAND = 1 << 20  # pixels that are mapped at a time


class ClosedFormFunction(ImageFunction):
    """Applies a color map. Tiles are not needed, because a pixel depends on nothing but its color and position.

    Attributes:
        recorded: what names the color map in a record.
    """

    bytes_per_pixel = 60

    def __init__(self, color_map: ColorMap) -> None:
        self.color_map = color_map
        self.recorded = digest.of_tensors(color_map.state_dict().items())

    @torch.inference_mode()
    def __call__(self, pixels: np.ndarray, number: int) -> np.ndarray:
        height, width = pixels.shape[:2]
        out = np.empty_like(pixels)
        step = max(1, BAND // width)
        for top in range(0, height, step):
            x = torch.from_numpy(np.ascontiguousarray(pixels[None, top : top + step].transpose(0, 3, 1, 2)))
            y = self.color_map.forward_tile(to_float(x), TilePosition(top, 0, height, width))
            out[top : top + step] = to_uint8(y)[0].permute(1, 2, 0).numpy()
        return out


def choose_for_folders(photos: str, retro: str, kind: str | None = None, position: str | None = None) -> Choice:
    """Return the closed form from the images of one folder to those of another; see `gan.networks.transfer.choose`.

    Raises:
        UserError: a folder is missing, or has fewer than MIN_IMAGES readable images with visible pixels.
    """
    return choose(images_of(photos), images_of(retro), kind=kind, position=position)


def small_images(folder: str) -> Tensor:
    """Return up to FIT_IMAGES images of a folder, scaled to FIT_SIZE, uint8 (N, 4, H, W), premultiplied."""
    data = ImageDataModule(folder, size=FIT_SIZE, channels=4, fit="stretch", max_images=FIT_IMAGES)
    data.setup("fit")
    return data.reals(FIT_IMAGES)


def images_of(folder: str) -> Tensor:
    """Return `small_images` that have visible pixels; raise UserError if they are too few for a fit."""
    images = visible(small_images(folder))
    if len(images) < MIN_IMAGES:
        number = counted(len(images), "readable image")
        raise UserError(f"--fit {folder}: has {number} with visible pixels; give at least {MIN_IMAGES}")
    return images
