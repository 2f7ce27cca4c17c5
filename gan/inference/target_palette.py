"""Compute a palette from the target images of a translator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.images.pixel_art import check_colors, fit_palette
from gan.inference.closed_form import small_images
from gan.inference.loading import has_data, load_data
from gan.metrics.pixels import opaque_pixels

TARGET_IMAGES = 500  # images for computing a palette
MAX_PIXELS = 4_000_000  # pixels of these images, spread evenly over all, for computing a palette


def target_palette(config: Mapping[str, Any], path: Path, direction: str, colors: int) -> np.ndarray:
    """Return a palette uint8 (K, 3) of at most `colors` colors, computed from target images.

    Args:
        config: the configuration of a translator.
        path: the translator, for messages.
        direction: "a2b" or "b2a".

    Raises:
        UserError: the number of colors is out of range, or the target images are not there.
    """
    check_colors(colors)
    if not has_data(config):
        raise UserError(f"--palette {colors}: a shared model has no target images; give an image or a file of colors")
    data = load_data(config, path)
    images = data.reals(TARGET_IMAGES) if direction == "a2b" else data.inputs(TARGET_IMAGES)
    return fit_palette(opaque(images).expand(-1, 3, -1, -1), colors)


def palette_of_folder(folder: str, colors: int) -> np.ndarray:
    """Return a palette uint8 (K, 3) of at most `colors` colors, computed from the images of a folder."""
    check_colors(colors)
    return fit_palette(opaque(small_images(folder)), colors)


def opaque(images: Tensor) -> Tensor:
    """Return the pixels of images (N, C, H, W) as one image, uint8 (1, C, 1, P).

    With premultiplied RGBA, return the straight colors of the pixels that are at least half opaque.
    """
    levels = images.transpose(0, 1).flatten(1)
    levels = levels[:, :: -(-levels.shape[1] // MAX_PIXELS)]
    return opaque_pixels(levels).to(torch.uint8)[None, :, None]
