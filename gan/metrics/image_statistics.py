"""Statistics of the retro look of images uint8 (N, C, H, W), to compare with those of real images."""

from __future__ import annotations

import numpy as np
import torch
from skimage.color import rgb2lab
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

from gan.common.errors import UserError
from gan.metrics.pixels import LUMA, opaque_pixels, takes_arrays

PALETTE = 4096  # colors, the most frequent ones


@takes_arrays
def pixel_art_statistics(images: Tensor, cell: int = 1) -> dict[str, float]:
    """Return statistics of pixel art, averaged over images.

    - colors: number of different colors; for RGBA, in pixels that are at least half opaque;
    - grid: fraction of cells of `cell` x `cell` pixels that have one color; 1 for art enlarged by that factor;
    - coverage (RGBA only): mean alpha in 0..1;
    - soft (RGBA only): fraction of pixels that are neither transparent nor opaque.

    Raises:
        UserError: no images, or a cell below 1 or above a side.
    """
    if not len(images):
        raise UserError("statistics of pixel art: there are no images")
    if not 1 <= cell <= min(images.shape[2:]):
        raise UserError(f"cell={cell}: give 1 to {min(images.shape[2:])}, the shorter side of the images")
    x = images.float()
    uniform = max_pool2d(x, cell) == -max_pool2d(-x, cell)  # (N, C, H/cell, W/cell)
    statistics = {
        "colors": float(np.mean([len(_codes(image).unique()) for image in images])),
        "grid": float(uniform.all(1).double().mean()),
    }
    if images.shape[1] == 4:
        alpha = images[:, 3]
        statistics["coverage"] = float(alpha.double().mean() / 255)
        statistics["soft"] = float(((alpha > 0) & (alpha < 255)).double().mean())
    return statistics


@takes_arrays
def palette_distance(real: Tensor, fake: Tensor) -> float:
    """Return the mean CIELAB distance of the pixels of `fake` from the palette of `real`; 2 is just noticeable.

    The palette consists of the 4,096 most frequent colors of all real images. Transparent pixels are ignored.

    Raises:
        UserError: numbers of channels differ, or all pixels of a set are transparent.
    """
    if real.shape[1] != fake.shape[1]:
        raise UserError(f"palettes of images with {real.shape[1]} and {fake.shape[1]} channels cannot be compared")
    of_real, counts = _codes(real.transpose(0, 1).flatten(2)).unique(return_counts=True)
    of_fake, weights = _codes(fake.transpose(0, 1).flatten(2)).unique(return_counts=True)
    if not len(of_real) or not len(of_fake):
        raise UserError("palette distance: one of the sets has only transparent pixels")
    palette = _lab(of_real[counts.argsort(descending=True, stable=True)[:PALETTE]])  # (P, 3)
    nearest = torch.cat([torch.cdist(part, palette).min(1).values for part in _lab(of_fake).split(PALETTE)])
    return float((nearest * weights).sum() / weights.sum())


@takes_arrays
def photograph_statistics(images: Tensor) -> dict[str, float]:
    """Return statistics of photographs and prints, averaged over images, in units of the luma range.

    - mean, contrast: mean and standard deviation of luma;
    - black, white: 1 % and 99 % quantiles of luma;
    - chroma: mean distance of the color of a pixel from gray;
    - grain: standard deviation of luma from its 3 x 3 mean, in the smoother half of the pixels.

    Raises:
        UserError: no images, or images smaller than 4x3 pixels.
    """
    height, width = images.shape[2:]
    if not len(images) or min(height, width) < 3 or height * width < 12:
        raise UserError(
            f"photograph statistics: {len(images)} images of {width}x{height} pixels; give at least one image of 4x3"
        )
    x = images[:, :3].double() / 255
    if x.shape[1] == 1:
        x = x.expand(-1, 3, -1, -1)
    luma = (x * torch.tensor(LUMA, dtype=x.dtype)[:, None, None]).sum(1)  # (N, H, W)
    smooth = avg_pool2d(luma[:, None], 3, 1)[:, 0]  # (N, H - 2, W - 2)
    residual = (luma[:, 1:-1, 1:-1] - smooth).flatten(1).square()
    slope = (max_pool2d(smooth[:, None], 3, 1, 1) + max_pool2d(-smooth[:, None], 3, 1, 1)).flatten(1)
    calm = slope.argsort(1)[:, : slope.shape[1] // 2]
    flat = luma.flatten(1)
    return {
        "mean": float(flat.mean()),
        "contrast": float(flat.std(1).mean()),
        "black": float(flat.quantile(0.01, 1).mean()),
        "white": float(flat.quantile(0.99, 1).mean()),
        "chroma": float((x - luma[:, None]).square().mean(1).sqrt().mean()),
        "grain": float(residual.gather(1, calm).mean(1).sqrt().mean()),
    }


def _codes(image: Tensor) -> Tensor:
    """Return the straight colors of the opaque pixels of (C, ...) as (pixels,): red * 65536 + green * 256 + blue."""
    red, green, blue = opaque_pixels(image).expand(3, -1)
    return (red * 256 + green) * 256 + blue


def _lab(codes: Tensor) -> Tensor:
    """Convert color codes (K,) to CIELAB (K, 3)."""
    rgb = torch.stack([codes // 65536, codes // 256 % 256, codes % 256], 1)
    return torch.from_numpy(rgb2lab(rgb.to(torch.uint8).numpy()[None])[0])
