"""Color maps and palettes that are computed from folders of images, without training."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan.data.decoding.decode import Decoder
from gan.data.decoding.reader import ImageError, unpremultiply
from gan.data.module import ImageDataModule
from gan.data.sources.files import SUFFIXES
from gan.data.translation import FITTED_IMAGES, WHOLE_SIDE
from gan.images.convert import to_float, to_uint8
from gan.models.loading import has_data, load_data
from gan.networks.closed_form.choose import Choice, choose, moderated
from gan.networks.closed_form.color_map import ColorMap
from gan.networks.closed_form.fit import visible
from gan.networks.tile_position import TilePosition
from gan.pixel_art.palettes import fit_palette
from gan.translation.image_translator import ImageFunction
from gan.utils import digest
from gan.utils.errors import UserError

OPAQUE_FROM = 128  # alpha from which a pixel counts as opaque
MAX_PIXELS = 4_000_000  # pixels of these images, spread evenly over all, for computing a palette
BAND = 1 << 20  # pixels that are mapped at a time


class ClosedFormFunction(ImageFunction):
    """Applies a color map. Tiles are not needed, because a pixel depends on nothing but its color and position."""

    bytes_per_pixel = 60

    def __init__(self, color_map: ColorMap) -> None:
        self.color_map = color_map
        self.recorded = digest.of_tensors(color_map.state_dict().items())  # names the color map in a record

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
    """Return the closed form from images to others, each given as `small_images` takes them; see `choose`.

    A kind that is not given is chosen and `moderated`.
    """
    images = images_of(photos)
    choice = choose(images, images_of(retro), kind=kind, position=position)
    return choice if kind or not choice.distances else moderated(choice, images)


def small_images(path: str, resample: str = "auto") -> Tensor:
    """Return an image, or images spread evenly over those of a folder, scaled: uint8 (N, 4, s, s), premultiplied."""
    options: dict[str, Any] = {"channels": 4, "fit": "stretch", "resample": resample}
    if os.path.splitext(path)[1].lower() in SUFFIXES and os.path.isfile(path):
        decoder = Decoder((WHOLE_SIDE, WHOLE_SIDE), **options)
        try:
            return torch.stack([torch.from_numpy(pixels) for pixels in decoder(path)])
        except ImageError as error:
            raise UserError(f"{path}: {error}") from error
    data = ImageDataModule(path, size=WHOLE_SIDE, max_images=FITTED_IMAGES, **options)
    data.setup("fit")
    return data.reals(FITTED_IMAGES)


def images_of(path: str) -> Tensor:
    """Return `small_images` that have visible pixels; raise UserError if there is none."""
    images = visible(small_images(path))
    if not len(images):
        raise UserError(f"--fit {path}: has no image with visible pixels")
    return images


def target_palette(config: Mapping[str, Any], path: Path, direction: str, colors: int) -> np.ndarray:
    """Return a palette uint8 (K, 3) of at most `colors` colors, computed from target images of a translator at a path.

    Raises:
        UserError: the number of colors is out of range, or the target images are not there.
    """
    if not has_data(config):
        raise UserError(f"--palette {colors}: a shared model has no target images; give an image or a file of colors")
    data = load_data(config, path)
    images = data.reals(FITTED_IMAGES) if direction == "a2b" else data.inputs(FITTED_IMAGES)
    return fit_palette(opaque(images).expand(-1, 3, -1, -1), colors)


def palette_of_folder(folder: str, colors: int) -> np.ndarray:
    """Return a palette uint8 (K, 3) of at most `colors` colors, computed from an image or those of a folder."""
    return fit_palette(opaque(small_images(folder, "nearest")), colors)  # no mixtures of colors


def opaque(images: Tensor) -> Tensor:
    """Return the pixels of images (N, C, H, W) as one image, uint8 (1, C, 1, P).

    With premultiplied RGBA, return the straight colors of the pixels that are at least half opaque.
    """
    levels = images.transpose(0, 1).flatten(1)
    levels = levels[:, :: -(-levels.shape[1] // MAX_PIXELS)]
    if len(levels) == 4:
        levels = torch.from_numpy(unpremultiply(levels[:, levels[3] >= OPAQUE_FROM].numpy())[:3])
    return levels[None, :, None]
