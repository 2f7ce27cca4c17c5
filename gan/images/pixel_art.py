"""Make pixel art of a picture: a grid of cells, each of one color of a palette. A last step, which learns nothing."""

from __future__ import annotations

import re
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

SAMPLED = 100_000  # pixels of a set, at most, that its palette is made of
MAX_COLORS = 256  # colors of a palette
UNSEEN = 1e-3  # that a transparent pixel counts, in cells where no other is


def to_pixel_art(
    picture: Tensor, cell: int = 1, palette: np.ndarray | None = None, alpha: Tensor | None = None
) -> Tensor:
    """uint8 RGB (3, H, W) -> the same: each cell its mean color, and each color the palette's nearest in Lab.

    Args:
        cell: pixels a side; cells begin in the upper left corner, and are cut at the others.
        palette: (K, 3), uint8 RGB; None leaves colors as they are.
        alpha: (H, W), how much each pixel is seen, and counts in the mean of its cell.
    """
    height, width = picture.shape[1:]
    cell = min(cell, max(height, width))
    seen = torch.ones(1, height, width) if alpha is None else alpha[None].float().clamp(min=UNSEEN)
    small, weight = (
        avg_pool2d(each[None], cell, ceil_mode=True, count_include_pad=False)[0] for each in (picture * seen, seen)
    )
    small = (small / weight).round()
    if palette is not None:
        colors = rgb2lab(small.permute(1, 2, 0).numpy() / 255)  # (h, w, 3)
        nearest = cKDTree(rgb2lab(palette / 255.0)).query(colors)[1]
        small = torch.from_numpy(palette[nearest]).permute(2, 0, 1)
    large = small.repeat_interleave(cell, 1).repeat_interleave(cell, 2)
    return large[:, :height, :width].to(torch.uint8)


def fit_palette(images: Tensor, colors: int) -> np.ndarray:
    """The centers of k-means in Lab over pixels of uint8 RGB (N, 3, H, W): (K, 3), uint8, from dark to light."""
    pixels = images.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    pixels = pixels[np.random.default_rng(0).permutation(len(pixels))[:SAMPLED]]
    colors = min(colors, len(np.unique(pixels, axis=0)))
    centers = kmeans2(rgb2lab(pixels / 255.0), colors, minit="++", seed=0)[0]
    return np.rint(255 * lab2rgb(centers[np.argsort(centers[:, 0])])).astype(np.uint8)


def read_palette(path: str) -> np.ndarray:
    """A palette from a file: the colors of a picture, or the lines of a text that begin with a color, as 1b2a41,
    #1b2a41 or ff1b2a41 (alpha first), or 27 42 65 as GIMP writes them.

    Raises:
        UserError: there is no such file, or it holds no colors, or more than 256.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"--palette {path}: neither a number of colors nor a file ({reason(error)})") from error
    try:
        with IsolatedProcess() as apart:
            found = apart(colors_in, data, MAX_COLORS)
    except ImageError:
        colors = [color for line in data.decode("utf-8", "replace").splitlines() if (color := color_in(line))]
        found = np.array(colors, np.uint8).reshape(-1, 3)
    if not 0 < len(found) <= MAX_COLORS:
        count = len(found) if len(found) <= MAX_COLORS else f"more than {MAX_COLORS}"
        raise UserError(f"--palette {path}: {count} colors, and 1 to {MAX_COLORS} are possible")
    return found


def color_in(line: str) -> list[int] | None:
    """The color that a line of a palette begins with."""
    if word := re.match(r"\s*#?(?:[0-9a-fA-F]{2})?([0-9a-fA-F]{6})\b", line):
        return list(bytes.fromhex(word[1]))
    if numbers := re.match(r"\s*(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\b", line):
        levels = [int(number) for number in numbers.groups()]
        return levels if max(levels) < 256 else None
    return None
