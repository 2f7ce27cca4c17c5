"""Convert images to pixel art: a grid of cells of one color each; and restore enlarged pixel art."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

from gan.data.decoding.reader import MAX_PIXELS, ImageError, unpremultiply
from gan.data.pixel_grid import Grid, find_grid, grid_of_side, restore
from gan.data.sources.files import File
from gan.images import files
from gan.pixel_art import uneven
from gan.pixel_art.dithering import dithered
from gan.utils.video_state import Video

if TYPE_CHECKING:
    from torch import Tensor

OPAQUE_FROM = 128  # alpha of a pixel that keeps its color in a palette
MIN_WEIGHT = 1e-3  # weight of a transparent pixel, for cells without other pixels


def to_pixel_art(
    image: np.ndarray,
    cell: int | Grid = 1,
    palette: np.ndarray | None = None,
    alpha: np.ndarray | None = None,
    dither: str = "none",
    autocontrast: str = "off",
) -> np.ndarray:
    """Return pixel art of an image, uint8 RGB (H, W, 3): each cell has one color, its mean or one of a palette.

    Args:
        cell: side of a cell in pixels; cells start at the top left and are cropped at the other edges. A grid has
            cells of its own.
        palette: (K, 3), uint8 RGB; None keeps the mean colors.
        alpha: (H, W), the weight of each pixel in the mean of its cell.
        dither: one of `gan.utils.colors.DITHERS`, for a palette.
        autocontrast: whether to stretch the lightness for a palette, as in `dithered`.
    """
    height, width = image.shape[:2]
    rows, columns = cell_edges(cell, height, width)
    seen = np.ones((height, width)) if alpha is None else np.maximum(alpha, MIN_WEIGHT)
    seen = seen[..., None].astype(np.float32)
    weight = cell_means(seen, rows, columns)
    small = np.rint(cell_means(image * seen, rows, columns) / weight).clip(0, 255).astype(np.uint8)
    if palette is not None:
        small = dithered(small, palette, dither, weight[..., 0] > MIN_WEIGHT, autocontrast)
    return small.repeat(np.diff(rows), 0).repeat(np.diff(columns), 1)


def recolored(
    images: Tensor, palette: np.ndarray, dither: str = "none", autocontrast: str = "off", video: Video | None = None
) -> Tensor:
    """Return images uint8 (N, C, H, W) in the colors of a palette, as RGB or RGBA; pixels become opaque or transparent.

    Args:
        images: gray, RGB or premultiplied RGBA.
        palette, dither, autocontrast: as in `to_pixel_art`.
        video: the video whose frames the images are; None for images that do not belong together.
    """
    import torch

    done = []
    for image in images.cpu().numpy():
        alpha = image[3] if len(image) == 4 else None
        color = unpremultiply(image)[:3] if len(image) == 4 else np.broadcast_to(image, (3, *image.shape[1:]))
        color = np.ascontiguousarray(color.transpose(1, 2, 0))
        with video.frame(color) if video else nullcontext():
            pixels = to_pixel_art(color, 1, palette, alpha, dither, autocontrast).transpose(2, 0, 1)
        if alpha is not None:
            opaque = alpha >= OPAQUE_FROM
            pixels = np.concatenate([pixels * opaque, 255 * opaque[None].astype(np.uint8)])
        done.append(torch.from_numpy(pixels.copy()))
    return torch.stack(done)


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
        palette, dither, autocontrast: as in `to_pixel_art`.
    """

    cell: int | str = 1
    palette: np.ndarray | None = None
    dither: str = "none"
    autocontrast: str = "off"

    def __call__(self, image: np.ndarray, source: np.ndarray) -> np.ndarray:
        """Return pixel art uint8 (H, W, 3) of a translation of the same shape.

        Args:
            source: the input, uint8 (H, W, 3 or 4). Its alpha is that of the translation.
        """
        alpha = source[..., 3] if source.shape[2] == 4 else None
        cell = (find_grid(source) or 1) if isinstance(self.cell, str) else self.cell
        return to_pixel_art(image, cell, self.palette, alpha, self.dither, self.autocontrast)


class Unscaled(NamedTuple):
    """What was done with a file: the reason if it failed, and its enlargement, such as "4x", if it has a grid."""

    error: str = ""
    factor: str = ""


def unscale(
    task: tuple[File, Path], side: float | None = None, is_uneven: bool = False, max_pixels: int = MAX_PIXELS
) -> Unscaled:
    """Restore a file of enlarged pixel art and write it as PNG, atomically; without a grid, write it at its size.

    Args:
        task: the file, and the path to write.
        side: side of the cells in pixels; None finds the grid of the file, in its first frame.
        is_uneven: whether the cells differ in size, see `gan.pixel_art.uneven`.
        max_pixels: limit of width * height, summed over the frames of an animation.

    Raises:
        OSError: the file cannot be written.
    """
    file, target = task
    try:
        contents = files.read_file(file, "PNG", max_pixels)
        first = contents.images[0]
        found = find_uneven(first, side) if is_uneven else find_even(first, side)

        def change(image: Image.Image) -> Image.Image:
            return image if found is None else Image.fromarray(found.restore(np.asarray(image)))

        files.write(contents, target, change, "PNG")
    except ImageError as error:
        return Unscaled(str(error))
    except MemoryError:
        return Unscaled("does not fit into memory")
    return Unscaled(factor=found.factor if found else "")


class Found(NamedTuple):
    """How an image was enlarged, and the function that restores its frames."""

    factor: str
    restore: Callable[[np.ndarray], np.ndarray]


def find_even(pixels: np.ndarray, side: float | None) -> Found | None:
    grid = find_grid(pixels) if side is None else grid_of_side(pixels, side)
    return Found(grid.factor, partial(restore, grid=grid)) if grid else None


def find_uneven(pixels: np.ndarray, side: float | None) -> Found | None:
    cells = uneven.find_cells(pixels, side)
    if cells is None:
        return None
    rows, columns = cells
    factor = f"{pixels.shape[0] / (len(rows) - 1):.2g}x"  # the mean over all cells
    return Found(factor, partial(uneven.restore, rows=rows, columns=columns))
