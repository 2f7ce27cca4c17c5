"""Screens: pixel art and the cathode-ray tube."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from gan.data.styles.filter import FloatImage, Range
from gan.data.styles.helpers import LUMINANCE, blurred, clipped, palette, resized

PICO8 = (
    "000000 1d2b53 7e2553 008751 ab5236 5f574f c2c3c7 fff1e8 ff004d ffa300 ffec27 00e436 29adff 83769c ff77a8 ffccaa"
)


def pixels(
    image: FloatImage,
    rng: np.random.Generator,
    cell: Annotated[int, Range(0, 500, "side of a cell in pixels; 0: a 48th of the shorter side, at least 2")] = 0,
) -> FloatImage:
    """Pixel art: cells of a 48th of the shorter side, each in the nearest of PICO-8's 16 colors."""
    height, width = image.shape[:2]
    cell = cell or max(2, round(min(height, width) / 48))
    small = resized(image, (-(-height // cell), -(-width // cell)))
    colors = palette(PICO8)
    nearest = colors[((small[:, :, None] - colors) ** 2 @ (3 * LUMINANCE + 0.5)).argmin(-1)]
    return nearest.repeat(cell, 0).repeat(cell, 1)[:height, :width]


def scan_lines(
    image: FloatImage,
    rng: np.random.Generator,
    line: Annotated[int, Range(0, 100, "height of a line in pixels; 0: a 240th of the shorter side")] = 0,
    darkness: Annotated[float, Range(0, 1, "light that every other line loses")] = 0.38,
    bloom: Annotated[float, Range(0, 2, "light around bright areas")] = 0.35,
) -> FloatImage:
    """A cathode-ray tube: every other line is dim, columns are tinted red, green and blue, and bright areas bloom."""
    height, width = image.shape[:2]
    unit = line or max(1, round(min(height, width) / 240))  # pixels a line
    glow = image + bloom * blurred(np.maximum(image - 0.5, 0), min(height, width) / 40)
    rows = np.where(np.arange(height) // unit % 2, 1 - darkness, 1.0)[:, None, None]
    columns = 0.8 + 0.4 * np.eye(3)[np.arange(width) // unit % 3]  # (W, 3)
    return clipped(1.12 * glow * (rows * columns[None]).astype(np.float32))
