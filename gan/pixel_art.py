"""Convert images to pixel art: a grid of cells of one color each, from a palette; and restore enlarged pixel art."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image
from scipy.cluster.vq import kmeans2
from scipy.spatial import cKDTree
from skimage.color import lab2rgb, rgb2lab

from gan.data.decoding.pool import IsolatedProcess
from gan.data.decoding.reader import MAX_PIXELS, ImageError
from gan.data.pixel_grid import Grid, find_grid, grid_of_side, restore
from gan.data.sources.files import File
from gan.images import files
from gan.images.files import colors_in
from gan.utils.colors import BAYER, COLORS, MONOCHROME
from gan.utils.errors import UserError, reason
from gan.utils.untrusted import read_bytes

if TYPE_CHECKING:
    from torch import Tensor

MAX_SAMPLES = 100_000  # maximum number of pixels for fitting a palette
MAX_COLORS = 256  # maximum number of colors in a palette
MAX_FILE = 1 << 28  # bytes of a palette in an image file
MAX_TEXT = 1 << 20  # bytes of a palette in a text file
MIN_WEIGHT = 1e-3  # weight of a transparent pixel, for cells without other pixels


def to_pixel_art(
    image: np.ndarray,
    cell: int | Grid = 1,
    palette: np.ndarray | None = None,
    alpha: np.ndarray | None = None,
    dither: str = "none",
) -> np.ndarray:
    """Return pixel art of an image, uint8 RGB (H, W, 3): each cell has one color, its mean or one of a palette.

    Args:
        cell: side of a cell in pixels; cells start at the top left and are cropped at the other edges. A grid has
            cells of its own.
        palette: (K, 3), uint8 RGB; None keeps the mean colors.
        alpha: (H, W), the weight of each pixel in the mean of its cell.
        dither: one of `gan.utils.colors.DITHERS`, for a palette.
    """
    height, width = image.shape[:2]
    rows, columns = cell_edges(cell, height, width)
    seen = np.ones((height, width)) if alpha is None else np.maximum(alpha, MIN_WEIGHT)
    seen = seen[..., None].astype(np.float32)
    weight = cell_means(seen, rows, columns)
    small = np.rint(cell_means(image * seen, rows, columns) / weight).clip(0, 255).astype(np.uint8)
    if palette is not None:
        small = dithered(small, palette, dither, weight[..., 0] > MIN_WEIGHT)
    return small.repeat(np.diff(rows), 0).repeat(np.diff(columns), 1)


def cell_edges(cell: int | Grid, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the borders of the rows and of the columns of cells, from 0 to the length."""
    if isinstance(cell, Grid):
        return cell.rows.all_edges(height), cell.columns.all_edges(width)
    return np.append(np.arange(0, height, cell), height), np.append(np.arange(0, width, cell), width)


def cell_means(values: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the means over cells, float32 (h, w, C), of values (H, W, C)."""
    totals = np.add.reduceat(np.add.reduceat(values, rows[:-1], 0, np.float64), columns[:-1], 1, np.float64)
    area = np.diff(rows)[:, None, None] * np.diff(columns)[None, :, None]
    return totals.astype(np.float32) / area.astype(np.float32)


@dataclass(frozen=True)
class PixelArt:
    """Converts translations to pixel art.

    Args:
        cell: side of a cell in pixels, or "auto" for the grid of the input; an input without a grid has cells of one
            pixel.
        palette, dither: as in `to_pixel_art`.
    """

    cell: int | str = 1
    palette: np.ndarray | None = None
    dither: str = "none"

    def __call__(self, image: np.ndarray, source: np.ndarray) -> np.ndarray:
        """Return pixel art uint8 (H, W, 3) of a translation of the same shape.

        Args:
            source: the input, uint8 (H, W, 3 or 4). Its alpha is that of the translation.
        """
        alpha = source[..., 3] if source.shape[2] == 4 else None
        cell = (find_grid(source) or 1) if isinstance(self.cell, str) else self.cell
        return to_pixel_art(image, cell, self.palette, alpha, self.dither)


def fit_palette(images: Tensor, colors: int) -> np.ndarray:
    """Return a palette uint8 (K, 3), from dark to light, fitted to images uint8 RGB (N, 3, H, W) by k-means in Lab."""
    if not 2 <= colors <= MAX_COLORS:
        raise UserError(f"--palette {colors}: give 2 to {MAX_COLORS} colors")
    pixels = images.permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    pixels = pixels[np.random.default_rng(0).permutation(len(pixels))[:MAX_SAMPLES]]
    colors = min(colors, len(np.unique(pixels, axis=0)))
    centers = kmeans2(rgb2lab(pixels / 255.0), colors, minit="++", seed=0)[0]
    return np.rint(255 * lab2rgb(centers[np.argsort(centers[:, 0])])).astype(np.uint8)


def read_palette(path: str) -> np.ndarray:
    """Return a palette uint8 (K, 3) by its name in `gan.utils.colors.COLORS`, or read it from an image or a text file.

    From an image, all its colors are read. From a text, the color at the start of each line is read: 1b2a41, #1b2a41,
    ff1b2a41 (alpha first), or 27 42 65 as written by GIMP. Other lines are ignored.
    """
    if path in COLORS:
        return palette_of(path)
    try:
        palette = palette_of_file(Path(path))
        if not 1 <= len(palette) <= MAX_COLORS:
            raise ValueError(f"it has no colors, or more than {MAX_COLORS}")
    except (OSError, ValueError) as error:
        kinds = f"{', '.join(COLORS)}, a number of colors, an image, or a text with a color at the start of a line"
        raise UserError(f"--palette {path}: cannot be read ({reason(error)}); give {kinds}") from error
    return palette


def palette_of_file(path: Path) -> np.ndarray:
    data = read_bytes(path, MAX_FILE)
    try:
        with IsolatedProcess() as isolated:
            return isolated(colors_in, data, MAX_COLORS)
    except ImageError:  # a text
        lines = data.decode("utf-8", "replace").splitlines() if len(data) <= MAX_TEXT else []
        return np.array([color for line in lines if (color := color_in(line))], np.uint8).reshape(-1, 3)


def color_in(line: str) -> list[int] | None:
    """Return the color at the start of a line of a palette; None if there is none."""
    if word := re.match(r"\s*#?(?:[0-9a-fA-F]{2})?([0-9a-fA-F]{6})\b", line):
        return list(bytes.fromhex(word[1]))
    if numbers := re.match(r"\s*(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\b", line):
        levels = [int(number) for number in numbers.groups()]
        return levels if max(levels) < 256 else None
    return None


class Unscaled(NamedTuple):
    """What was done with a file: the reason if it failed, and its enlargement, such as "4x", if it has a grid."""

    error: str = ""
    factor: str = ""


def unscale(task: tuple[File, Path], side: float | None = None, max_pixels: int = MAX_PIXELS) -> Unscaled:
    """Restore a file of enlarged pixel art and write it as PNG, atomically; without a grid, write it at its size.

    Args:
        task: the file, and the path to write.
        side: side of the cells in pixels; None finds the grid of the file, in its first frame.
        max_pixels: limit of width * height, summed over the frames of an animation.

    Raises:
        OSError: the file cannot be written.
    """
    file, target = task
    try:
        contents = files.read_file(file, "PNG", max_pixels)
        first = contents.images[0]
        grid = find_grid(first) if side is None else grid_of_side(first, side)

        def change(image: Image.Image) -> Image.Image:
            return image if grid is None else Image.fromarray(restore(np.asarray(image), grid))

        files.write(contents, target, change, "PNG")
    except ImageError as error:
        return Unscaled(str(error))
    except MemoryError:
        return Unscaled("does not fit into memory")
    return Unscaled(factor=grid.factor if grid else "")


# ---- dithering: each pixel gets a color of a palette
#
# Distances between colors are in CIELAB. Errors are in linear light: the mean of neighboring pixels is then the color
# that the eye sees from a distance. All methods are deterministic.
#
#     none              the nearest color
#     floyd_steinberg   error diffusion: Floyd and Steinberg, An adaptive algorithm for spatial grey scale, 1976. Rows
#                       go from left to right. With the weights of that paper, the pixels on a line of slope -1/2 do
#                       not depend on each other, so that all of them are done at once
#     bayer             ordered dithering with the thresholds of Bayer, An optimum method for two-level rendition of
#                       continuous-tone pictures, 1973, for any palette: the color of each threshold is that of Knoll's
#                       pattern dithering (US patent 6606166, expired). A pixel depends on its place and color only, so
#                       that tiles and the frames of a video agree. bayer2, bayer4 and bayer8 have 4, 16 and 64
#                       thresholds; bayer is bayer4
#
# The palettes of monochrome screens have no color that is near to most colors of an image, so they show its lightness:
# black becomes the darkest and white the lightest of their tones.

LEVELS = 32  # of each channel in the table of nearest colors
LIGHT = 4096  # steps of linear light in the table of sRGB levels
OVERSHOOT = 0.5  # limit of the error that is passed on where the palette cannot reach a color, in linear light
BLOCK = 1 << 16  # pixels of ordered dithering at once
# sRGB (IEC 61966-2-1): the linear light of each of 256 levels, and the level of Nearest for each step of linear light
SRGB, STEPS = np.arange(256) / 255, np.arange(LIGHT + 1) / LIGHT
TO_LIGHT = np.where(SRGB <= 0.04045, SRGB / 12.92, ((SRGB + 0.055) / 1.055) ** 2.4).astype(np.float32)
TO_SRGB = np.where(STEPS <= 0.0031308, 12.92 * STEPS, 1.055 * STEPS ** (1 / 2.4) - 0.055)
BINS = np.minimum(TO_SRGB * LEVELS, LEVELS - 1).astype(np.int32)


def palette_of(name: str) -> np.ndarray:
    """Return the colors of a name in `gan.utils.colors.COLORS`, uint8 (K, 3)."""
    return np.frombuffer(bytes.fromhex(COLORS[name]), np.uint8).reshape(-1, 3)


def dithered(
    image: np.ndarray, palette: np.ndarray, method: str = "none", seen: np.ndarray | None = None
) -> np.ndarray:
    """Return an image uint8 (H, W, 3) in the colors of a palette uint8 (K, 3).

    Args:
        method: one of `gan.utils.colors.DITHERS`.
        seen: bool (H, W), the pixels that are not transparent; others do not pass errors on.
    """
    if any(np.array_equal(palette, palette_of(name)) for name in MONOCHROME):
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
