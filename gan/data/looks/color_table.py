"""Color tables: curves of one axis and tables of three, in plain NumPy, with linear and trilinear interpolation."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MIN_SIZE, MAX_SIZE = 2, 144  # entries along each axis of a table; 144 is a HaldCLUT of level 12
MIN_CURVE, MAX_CURVE = 2, 65536  # entries of curves
MAX_VALUE = 1e4  # largest absolute value of an entry or of a limit of the domain; 1 is white
MIN_RANGE = 1e-4  # smallest difference between the limits of a domain
CHUNK = 1 << 14  # pixels at a time, so that memory is limited and the processor's cache holds them
Domain = tuple[tuple[float, ...], tuple[float, ...]]  # the lowest and the highest input of red, green and blue
UNIT: Domain = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


@dataclass(frozen=True, eq=False)
class ColorTable:
    """A color table: colors in 0..1 -> colors, nominally in 0..1. Curves come first, then the table of three axes.

    Args:
        colors: float32 (N, N, N, 3), whose axes are blue, green and red, as files store them; None for curves alone.
        curves: float32 (M, 3), a curve for each of red, green and blue; None for none.
        domain, curve_domain: the inputs, for red, green and blue, of the first and of the last entry. Other inputs get
            the nearest entry.
        title: from the file.
    """

    colors: np.ndarray | None = None
    curves: np.ndarray | None = None
    domain: Domain = UNIT
    curve_domain: Domain = UNIT
    title: str = ""

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return the colors, float32 in 0..1, of an image (..., 3), float in 0..1 or uint8.

        Each pixel is independent of the others, so tiles give the same as the whole image.
        """
        pixels = image.reshape(-1, 3)
        out = np.empty(pixels.shape, np.float32)
        for start in range(0, len(pixels), CHUNK):
            part = pixels[start : start + CHUNK]
            x = (part / np.float32(255) if part.dtype == np.uint8 else part).T.astype(np.float32)  # (3, pixels)
            if self.curves is not None:
                x = along_curves(self.curves, positions(x, self.curve_domain, len(self.curves)))
            if self.colors is not None:
                x = trilinear(self.colors, positions(x, self.domain, len(self.colors)))
            out[start : start + CHUNK] = x.T.clip(0, 1)
        return out.reshape(image.shape)

    def sampled(self, size: int) -> ColorTable:
        """Return a table of three axes with `size` entries along each, without curves, on the domain 0..1."""
        return ColorTable(self.apply(identity(size)), title=self.title)


def positions(x: np.ndarray, domain: Domain, size: int) -> np.ndarray:
    """Return the positions (3, P), in 0..size - 1, of colors (3, P) along axes with `size` entries."""
    low, high = (np.array(limit, np.float32)[:, None] for limit in domain)
    return ((x - low) * ((size - 1) / (high - low))).clip(0, size - 1).astype(np.float32)


def along_curves(curves: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Return the entries (3, P) of curves (M, 3) at positions (3, P), linearly interpolated."""
    lower = np.minimum(position.astype(np.int32), len(curves) - 2)
    channel = np.arange(3)[:, None]
    first, second = curves[lower, channel], curves[lower + 1, channel]
    return np.asarray(first + (second - first) * (position - lower))


def trilinear(colors: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Return the entries (3, P) of a table (N, N, N, 3) at positions (3, P) along red, green and blue.

    The sum of the eight nearest entries, weighted by their distance on each axis.
    """
    size = len(colors)
    lower = np.minimum(position.astype(np.int32), size - 2)
    upper_weight = position - lower
    first = (lower[2] * size + lower[1]) * size + lower[0]
    entries = colors.reshape(-1, 3)
    total = np.zeros((len(first), 3), np.float32)
    for blue, green, red in itertools.product((0, 1), repeat=3):
        weight = [upper_weight[n] if up else 1 - upper_weight[n] for n, up in enumerate((red, green, blue))]
        corner = entries.take(first + ((blue * size + green) * size + red), 0)
        total += corner * (weight[0] * weight[1] * weight[2])[:, None]
    return total.T


def identity(size: int) -> np.ndarray:
    """Return the table (N, N, N, 3), float32 in 0..1, that maps each color to itself."""
    steps = np.linspace(0, 1, size, dtype=np.float32)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    return np.stack([red, green, blue], -1)


def table_of(change: Callable[[np.ndarray], np.ndarray], size: int, title: str = "") -> ColorTable:
    """Return the table of a function of colors, which is applied to an image of all entries.

    Args:
        change: maps an image (H, W, 3), float32 in 0..1, to an image of the same shape, float or uint8. A pixel must
            depend on nothing but the same pixel. Colors outside of 0..1 are kept, so that those between an entry inside
            and one outside are right.
        size: entries along each axis.
    """
    inputs = identity(size)
    return ColorTable(as_float(change(inputs.reshape(size * size, size, 3))).reshape(inputs.shape), title=title)


def as_float(image: np.ndarray) -> np.ndarray:
    """Return an image as float32; 255 of uint8 is 1."""
    if image.dtype == np.uint8:
        return image.astype(np.float32) / 255
    return image.astype(np.float32)
