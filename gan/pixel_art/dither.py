"""Give each pixel of an image a color of a palette, with or without dithering.

Distances between colors are in CIELAB. Errors are in linear light: the mean of neighboring pixels is then the color
that the eye sees from a distance. All methods are deterministic.

    none              the nearest color
    floyd_steinberg   error diffusion: Floyd and Steinberg, An adaptive algorithm for spatial grey scale, 1976. Rows go
                      from left to right. With the weights of that paper, the pixels on a line of slope -1/2 do not
                      depend on each other, so that all of them are done at once
    bayer             ordered dithering with the thresholds of Bayer, An optimum method for two-level rendition of
                      continuous-tone pictures, 1973, for any palette: the color of each threshold is that of Knoll's
                      pattern dithering (US patent 6606166, expired). A pixel depends on its place and color only, so
                      that tiles and the frames of a video agree. bayer2, bayer4 and bayer8 have 4, 16 and 64
                      thresholds; bayer is bayer4

The palettes of monochrome screens have no color that is near to most colors of an image, so they show its lightness:
black becomes the darkest and white the lightest of their tones.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree
from skimage.color import rgb2lab

from gan.pixel_art.palettes import BAYER, COLORS, MONOCHROME

LEVELS = 32  # of each channel in the table of nearest colors
LIGHT = 4096  # steps of linear light in the table of sRGB levels
OVERSHOOT = 0.5  # limit of the error that is passed on where the palette cannot reach a color, in linear light
BLOCK = 1 << 16  # pixels of ordered dithering at once


def palette_of(name: str) -> np.ndarray:
    """Return the colors of a name in `gan.pixel_art.palettes.COLORS`, uint8 (K, 3)."""
    return np.frombuffer(bytes.fromhex(COLORS[name]), np.uint8).reshape(-1, 3)


def dithered(
    image: np.ndarray, palette: np.ndarray, method: str = "none", seen: np.ndarray | None = None
) -> np.ndarray:
    """Return an image uint8 (H, W, 3) in the colors of a palette uint8 (K, 3).

    Args:
        method: one of `gan.pixel_art.palettes.DITHERS`.
        seen: bool (H, W), the pixels that are not transparent; others do not pass errors on.
    """
    if any(np.array_equal(palette, tones) for tones in TONES):
        image = to_tones(image, palette)
    if method == "none":
        nearest = cKDTree(rgb2lab(palette / 255.0)).query(rgb2lab(image / 255))[1]
    elif method == "floyd_steinberg":
        nearest = floyd_steinberg(image, palette, np.ones(image.shape[:2], bool) if seen is None else seen)
    else:
        nearest = ordered(image, palette, bayer_matrix(BAYER[method]))
    return palette[nearest]


class Nearest:
    """Finds the nearest color of a palette to colors in linear light, with a table.

    Args:
        palette: uint8 (K, 3).
    """

    def __init__(self, palette: np.ndarray) -> None:
        centers = (np.indices((LEVELS, LEVELS, LEVELS)).reshape(3, -1).T + 0.5) / LEVELS
        found = cKDTree(rgb2lab(palette / 255.0)).query(rgb2lab(centers))[1]
        self.table = np.asarray(found, np.intp)
        self.table[self.places(to_light(palette))[::-1]] = np.arange(len(palette))[::-1]  # a color is its own nearest

    def places(self, light: np.ndarray) -> np.ndarray:
        levels = BINS[(light * LIGHT).astype(np.int32)]
        return (levels[..., 0] * LEVELS + levels[..., 1]) * LEVELS + levels[..., 2]

    def __call__(self, light: np.ndarray) -> np.ndarray:
        """Return indices (...) of the palette for colors (..., 3) in 0..1."""
        return self.table[self.places(light)]


def to_light(image: np.ndarray) -> np.ndarray:
    """Convert uint8 sRGB to linear light, float32 in 0..1."""
    return TO_LIGHT[image]


def _to_light(levels: np.ndarray) -> np.ndarray:
    """Return linear light of sRGB levels in 0..1 (IEC 61966-2-1)."""
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _bins() -> np.ndarray:
    """Return the level of Nearest for each step of linear light."""
    light = np.arange(LIGHT + 1) / LIGHT
    levels = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.minimum(levels * LEVELS, LEVELS - 1).astype(np.int32)


TO_LIGHT, BINS = _to_light(np.arange(256) / 255), _bins()
TONES = [palette_of(name) for name in MONOCHROME]


def to_tones(image: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return an image uint8 (H, W, 3) whose lightness is that of `image`, between the tones of a palette."""
    levels = rgb2lab(palette / 255.0)[:, 0]
    order = np.argsort(levels)
    position = (levels[order] - levels.min()) / (levels.max() - levels.min())
    lightness = rgb2lab(image / 255)[..., 0] / 100
    return np.stack([np.rint(np.interp(lightness, position, palette[order, c])) for c in range(3)], -1).astype(np.uint8)


def floyd_steinberg(image: np.ndarray, palette: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the index of the color of each pixel, int (H, W)."""
    height, width = image.shape[:2]
    nearest, colors = Nearest(palette), to_light(palette)
    light = np.zeros((height + 1, width + 2, 3), np.float32)  # with a border for the errors that leave the image
    light[:height, 1:-1] = to_light(image)
    chosen = np.zeros((height, width), np.intp)
    for step in range(width + 2 * (height - 1)):
        first, last = max(0, (step - width + 2) // 2), min(height - 1, step // 2)
        rows = np.arange(first, last + 1)
        columns = step - 2 * rows
        wanted = light[rows, columns + 1].clip(-OVERSHOOT, 1 + OVERSHOOT)
        chosen[rows, columns] = best = nearest(wanted.clip(0, 1))
        error = (wanted - colors[best]) * seen[rows, columns, None]
        light[rows, columns + 2] += error * (7 / 16)
        light[rows + 1, columns] += error * (3 / 16)
        light[rows + 1, columns + 1] += error * (5 / 16)
        light[rows + 1, columns + 2] += error * (1 / 16)
    return chosen


def ordered(image: np.ndarray, palette: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the index of the color of each pixel, int (H, W).

    Each pixel gets as many candidates as the matrix has thresholds, whose mean is near the color of the pixel. Sorted
    by lightness, the candidate of its own threshold is its color.

    Args:
        matrix: thresholds, int from 0 to the size of the matrix - 1.
    """
    nearest, colors = Nearest(palette), to_light(palette)
    order = np.argsort(rgb2lab(palette / 255.0)[:, 0], kind="stable")
    rank = np.argsort(order)  # from dark to light
    rows, columns = np.indices(image.shape[:2])
    thresholds = matrix[rows % len(matrix), columns % len(matrix)].reshape(-1)
    keys = image.reshape(-1, 3).astype(np.int64) @ (1 << 24, 1 << 16, 1 << 8) + thresholds
    keys, places = np.unique(keys, return_inverse=True)  # equal colors at equal thresholds are done once
    chosen = np.empty(len(keys), np.intp)
    for start in range(0, len(keys), BLOCK):
        block = keys[start : start + BLOCK]
        wanted = to_light(block[:, None] >> (24, 16, 8) & 255)
        error, candidates = np.zeros_like(wanted), np.empty((len(block), matrix.size), np.intp)
        for number in range(matrix.size):
            best = nearest((wanted + error).clip(0, 1))
            candidates[:, number] = rank[best]
            error += wanted - colors[best]
        candidates.sort(axis=1)
        chosen[start : start + BLOCK] = order[candidates[np.arange(len(block)), block & 255]]
    return chosen[places].reshape(image.shape[:2])


def bayer_matrix(side: int) -> np.ndarray:
    """Return the thresholds of Bayer's matrix, int (side, side), from 0 to side * side - 1; side is a power of 2."""
    matrix = np.zeros((1, 1), int)
    while len(matrix) < side:
        matrix = np.block([[4 * matrix, 4 * matrix + 2], [4 * matrix + 3, 4 * matrix + 1]])
    return matrix
