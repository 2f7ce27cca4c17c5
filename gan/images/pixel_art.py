"""Convert an image to pixel art: a grid of cells of one color each, from a palette. This needs no training."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from scipy.spatial import cKDTree
from skimage.color import lab2rgb, rgb2lab
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gan.common.errors import UserError, reason
from gan.data.decoding.errors import ImageError
from gan.data.decoding.pool import IsolatedProcess
from gan.images.files import colors_in

MAX_SAMPLES = 100_000  # maximum number of pixels for fitting a palette
MAX_COLORS = 256  # maximum number of colors in a palette
MAX_TEXT = 1 << 20  # bytes of a palette in a text file
MIN_WEIGHT = 1e-3  # weight of a transparent pixel, for cells without other pixels


def to_pixel_art(
    image: Tensor, cell: int = 1, palette: np.ndarray | None = None, alpha: Tensor | None = None
) -> Tensor:
    """Return pixel art of an image, uint8 RGB (3, H, W): each cell gets the palette color nearest to its mean, in Lab.

    Args:
        cell: side of a cell in pixels; cells start at the top left and are cropped at the other edges.
        palette: (K, 3), uint8 RGB; None keeps the mean colors.
        alpha: (H, W), the weight of each pixel in the mean of its cell.
    """
    height, width = image.shape[1:]
    cell = min(cell, max(height, width))
    seen = torch.ones(1, height, width) if alpha is None else alpha[None].float().clamp(min=MIN_WEIGHT)
    small, weight = (
        avg_pool2d(each[None], cell, ceil_mode=True, count_include_pad=False)[0] for each in (image * seen, seen)
    )
    small = (small / weight).round()
    if palette is not None:
        colors = rgb2lab(small.permute(1, 2, 0).numpy() / 255)  # (h, w, 3)
        nearest = cKDTree(rgb2lab(palette / 255.0)).query(colors)[1]
        small = torch.from_numpy(palette[nearest]).permute(2, 0, 1)
    large = small.repeat_interleave(cell, 1).repeat_interleave(cell, 2)
    return large[:, :height, :width].to(torch.uint8)


def converter(
    cell: int = 1, palette: np.ndarray | None = None
) -> Callable[[np.ndarray, np.ndarray | None], np.ndarray] | None:
    """Return `to_pixel_art` as a function of arrays; None if it would not change the image.

    Its arguments are an image, uint8 RGB (H, W, 3), and its alpha (H, W) or None.
    """
    if cell == 1 and palette is None:
        return None

    def convert(image: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
        planes = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        weights = None if alpha is None else torch.from_numpy(np.array(alpha))
        return to_pixel_art(planes, cell, palette, weights).permute(1, 2, 0).contiguous().numpy()

    return convert


def fit_palette(images: Tensor, colors: int) -> np.ndarray:
    """Return a palette uint8 (K, 3), from dark to light, fitted to images uint8 RGB (N, 3, H, W) by k-means in Lab."""
    pixels = images.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    pixels = pixels[np.random.default_rng(0).permutation(len(pixels))[:MAX_SAMPLES]]
    colors = min(colors, len(np.unique(pixels, axis=0)))
    centers = kmeans2(rgb2lab(pixels / 255.0), colors, minit="++", seed=0)[0]
    return np.rint(255 * lab2rgb(centers[np.argsort(centers[:, 0])])).astype(np.uint8)


def read_palette(path: str) -> np.ndarray:
    """Read a palette from an image or a text file.

    From an image, all its colors are read. From a text, the color at the start of each line is read: 1b2a41, #1b2a41,
    ff1b2a41 (alpha first), or 27 42 65 as written by GIMP. Other lines are ignored.

    Raises:
        UserError: the file cannot be read, or contains no colors or more than MAX_COLORS.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(
            f"--palette {path}: neither a number of colors nor a readable file ({reason(error)})"
        ) from error
    try:
        with IsolatedProcess() as isolated:
            found = isolated(colors_in, data, MAX_COLORS)
    except ImageError as error:
        if len(data) > MAX_TEXT:
            raise UserError(f"--palette {path}: neither an image nor a text of at most 1 MiB") from error
        colors = [color for line in data.decode("utf-8", "replace").splitlines() if (color := color_in(line))]
        found = np.array(colors, np.uint8).reshape(-1, 3)
    if not 0 < len(found) <= MAX_COLORS:
        count = len(found) if len(found) <= MAX_COLORS else f"more than {MAX_COLORS}"
        raise UserError(f"--palette {path}: contains {count} colors; use 1 to {MAX_COLORS}")
    return found


def color_in(line: str) -> list[int] | None:
    """Return the color at the start of a line of a palette; None if there is none."""
    if word := re.match(r"\s*#?(?:[0-9a-fA-F]{2})?([0-9a-fA-F]{6})\b", line):
        return list(bytes.fromhex(word[1]))
    if numbers := re.match(r"\s*(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\b", line):
        levels = [int(number) for number in numbers.groups()]
        return levels if max(levels) < 256 else None
    return None
