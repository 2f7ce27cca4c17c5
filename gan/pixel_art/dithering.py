"""Dithering: each pixel gets a color of a palette.

Distances between colors are in CIELAB. Errors are in linear light: the mean of neighboring pixels is then the color
that the eye sees from a distance. All methods are deterministic.

    floyd_steinberg   Floyd and Steinberg, An adaptive algorithm for spatial grey scale, 1976. The pixels on a line of
                      slope -1/2 do not depend on each other, so that all of them are done at once
    atkinson          as Bill Atkinson wrote it for the first Macintosh
    bayer             Bayer, An optimum method for two-level rendition of continuous-tone pictures, 1973, for any
                      palette: the color of each threshold is that of Knoll's pattern dithering (US patent 6606166,
                      expired)
    blue_noise        each threshold is placed in the largest void of the earlier ones (Ulichney, The void-and-cluster
                      method for dither array generation, 1993)

The palettes of monochrome screens have no color that is near to most colors of an image, so they show its lightness:
black becomes the darkest and white the lightest of their tones. Few photographs have both, so autocontrast stretches
their lightness first.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
from scipy.spatial import cKDTree
from skimage.color import lab2rgb, rgb2lab

from gan.pixel_art.palettes import palette_of
from gan.utils.colors import BAYER, MONOCHROME
from gan.utils.video_state import mean_over_frames

LEVELS = 32  # of each channel in the table of nearest colors
LIGHT = 4096  # steps of linear light in the table of sRGB levels
OVERSHOOT = 0.5  # limit of the error that is passed on where the palette cannot reach a color, in linear light
MARGIN = 2  # pixels that an error can pass a border by
DIFFUSION = {
    "floyd_steinberg": {(0, 1): 7 / 16, (1, -1): 3 / 16, (1, 0): 5 / 16, (1, 1): 1 / 16},
    "atkinson": dict.fromkeys([(0, 1), (0, 2), (1, -1), (1, 0), (1, 1), (2, 0)], 1 / 8),
}
THRESHOLDS, NOISE_SIDE, VOID = 64, 64, 1.5  # of blue noise; the last is the standard deviation of a pixel's influence
STRETCHED = (1, 99)  # percentiles of lightness that become 0 and 100
MIN_RANGE = 25.0  # of lightness, which a smaller range is extended to: a stretch would show the noise of flat images
MIN_CHROMA, MAX_ANGLE = 10.0, 45.0  # in CIELAB: a color with less chroma has no hue; largest distance from the mean hue
BLOCK = 1 << 16  # pixels of ordered dithering at once
# sRGB (IEC 61966-2-1): the linear light of each of 256 levels, and the level of Nearest for each step of linear light
SRGB, STEPS = np.arange(256) / 255, np.arange(LIGHT + 1) / LIGHT
TO_LIGHT = np.where(SRGB <= 0.04045, SRGB / 12.92, ((SRGB + 0.055) / 1.055) ** 2.4).astype(np.float32)
TO_SRGB = np.where(STEPS <= 0.0031308, 12.92 * STEPS, 1.055 * STEPS ** (1 / 2.4) - 0.055)
BINS = np.minimum(TO_SRGB * LEVELS, LEVELS - 1).astype(np.int32)


def dithered(
    image: np.ndarray,
    palette: np.ndarray,
    method: str = "none",
    seen: np.ndarray | None = None,
    autocontrast: str = "off",
) -> np.ndarray:
    """Return an image uint8 (H, W, 3) in the colors of a palette uint8 (K, 3).

    Args:
        method: one of `gan.utils.colors.DITHERS`.
        seen: bool (H, W), the pixels that are not transparent; others do not pass errors on.
        autocontrast: whether to stretch the lightness: "on", "off", or "auto" for palettes of one hue.
    """
    seen = np.ones(image.shape[:2], bool) if seen is None else seen
    if seen.any() and (autocontrast == "on" or (autocontrast == "auto" and has_one_hue(palette))):
        image = stretched(image, seen)
    if any(np.array_equal(palette, palette_of(name)) for name in MONOCHROME):
        image = to_tones(image, palette)
    if method == "none":
        nearest = cKDTree(rgb2lab(palette / 255.0)).query(rgb2lab(image / 255))[1]
    elif method in DIFFUSION:
        nearest = error_diffusion(image, palette, seen, DIFFUSION[method])
    else:
        nearest = ordered(image, palette, bayer_matrix(BAYER[method]) if method in BAYER else blue_noise_matrix())
    return palette[nearest]


def has_one_hue(palette: np.ndarray) -> bool:
    """Return whether the colors of a palette uint8 (K, 3) differ only in lightness and chroma, apart from grays."""
    a, b = rgb2lab(palette / 255.0)[:, 1:].T
    chroma = np.hypot(a, b)
    direction = np.hypot(a.sum(), b.sum())
    along = (a * a.sum() + b * b.sum()) / max(direction, 1e-6)  # the part of the chroma in the direction of the mean
    return bool(np.all((chroma < MIN_CHROMA) | (along >= np.cos(np.radians(MAX_ANGLE)) * chroma)))


def stretched(image: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return an image uint8 (H, W, 3) whose lightness has the full range. The frames of a video share the stretch."""
    lab = rgb2lab(image / 255)
    low, high = mean_over_frames(np.percentile(lab[..., 0][seen], STRETCHED))
    width = max(high - low, MIN_RANGE)
    low = min(max((low + high - width) / 2, 0), 100 - width)
    lab[..., 0] = ((lab[..., 0] - low) / width).clip(0, 1) * 100
    with warnings.catch_warnings():  # colors that sRGB does not have at their new lightness are clipped
        warnings.simplefilter("ignore")
        return np.rint(255 * lab2rgb(lab)).astype(np.uint8)


class Nearest:
    """Finds the nearest color of a palette uint8 (K, 3) to colors in linear light, with a table."""

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


def to_tones(image: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return an image uint8 (H, W, 3) whose lightness is that of `image`, between the tones of a palette."""
    levels = rgb2lab(palette / 255.0)[:, 0]
    order = np.argsort(levels)
    position = (levels[order] - levels.min()) / (levels.max() - levels.min())
    lightness = rgb2lab(image / 255)[..., 0] / 100
    return np.stack([np.rint(np.interp(lightness, position, palette[order, c])) for c in range(3)], -1).astype(np.uint8)


def error_diffusion(
    image: np.ndarray, palette: np.ndarray, seen: np.ndarray, weights: dict[tuple[int, int], float]
) -> np.ndarray:
    """Return the index of the color of each pixel, int (H, W).

    Args:
        weights: of the error for the pixels at (rows below, columns to the right), from (0, 1) on.
    """
    height, width = image.shape[:2]
    nearest, colors = Nearest(palette), to_light(palette)
    light = np.zeros((height + MARGIN, width + 2 * MARGIN, 3), np.float32)  # with space for errors that leave the image
    light[:height, MARGIN:-MARGIN] = to_light(image)
    chosen = np.zeros((height, width), np.intp)
    for step in range(width + 2 * (height - 1)):
        first, last = max(0, (step - width + 2) // 2), min(height - 1, step // 2)
        rows = np.arange(first, last + 1)
        columns = step - 2 * rows
        wanted = light[rows, columns + MARGIN].clip(-OVERSHOOT, 1 + OVERSHOOT)
        chosen[rows, columns] = best = nearest(wanted.clip(0, 1))
        error = (wanted - colors[best]) * seen[rows, columns, None]
        for (down, right), weight in weights.items():
            light[rows + down, columns + MARGIN + right] += error * weight
    return chosen


def ordered(image: np.ndarray, palette: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the index of the color of each pixel, int (H, W).

    Each pixel gets as many candidates as the matrix has thresholds, whose mean is near the color of the pixel. Sorted
    by lightness, the candidate of its own threshold is its color.

    Args:
        matrix: thresholds, int from 0 to at most 255, each equally often.
    """
    nearest, colors = Nearest(palette), to_light(palette)
    order = np.argsort(rgb2lab(palette / 255.0)[:, 0], kind="stable")
    rank = np.argsort(order)  # from dark to light
    rows, columns = np.indices(image.shape[:2])
    thresholds = matrix[rows % len(matrix), columns % len(matrix)].reshape(-1)
    keys = image.reshape(-1, 3).astype(np.int64) @ (1 << 24, 1 << 16, 1 << 8) + thresholds
    keys, places = np.unique(keys, return_inverse=True)  # equal colors at equal thresholds are done once
    chosen, count = np.empty(len(keys), np.intp), matrix.max() + 1
    for start in range(0, len(keys), BLOCK):
        block = keys[start : start + BLOCK]
        wanted = to_light(block[:, None] >> (24, 16, 8) & 255)
        error, candidates = np.zeros_like(wanted), np.empty((len(block), count), np.intp)
        for number in range(count):
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


@cache
def blue_noise_matrix() -> np.ndarray:
    """Return thresholds without low frequencies, int (NOISE_SIDE, NOISE_SIDE), from 0 to THRESHOLDS - 1."""
    distance = np.minimum(np.arange(NOISE_SIDE), NOISE_SIDE - np.arange(NOISE_SIDE))
    influence = np.exp(-(distance[:, None] ** 2 + distance**2) / (2 * VOID**2))  # around a pixel, across the borders
    crowd = np.random.default_rng(0).random(influence.shape) * 0.01  # against a regular pattern
    ranks = np.empty(influence.size, int)
    for rank in range(influence.size):
        place = int(crowd.argmin())
        ranks[place] = rank
        crowd += np.roll(influence, divmod(place, NOISE_SIDE), (0, 1))
        crowd.flat[place] = np.inf
    return (ranks * THRESHOLDS // ranks.size).reshape(influence.shape)
