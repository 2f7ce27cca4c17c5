"""Write enlarged pixel art at its own size, one file at a time."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from gan.common.errors import reason
from gan.data.decoding.reader import MAX_PIXELS, ImageError, TooLarge
from gan.data.pixel_grid import Grid, find_grid, grid_of_side, restore
from gan.data.sources.files import File
from gan.images import files
from gan.images.pixel_art import to_pixel_art

FORMAT = "PNG"


class Unscaled(NamedTuple):
    """What was done with a file."""

    error: str = ""  # the reason if it cannot be read or written
    factor: str = ""  # its enlargement, such as "4x"; empty without a grid


@dataclass(frozen=True)
class Unscaler:
    """Restores files of enlarged pixel art. Files without a grid are written at their size. It is picklable.

    Args:
        side: side of the cells in pixels; None finds the grid of each file, in its first frame.
        palette: uint8 (K, 3); None keeps the colors.
        dither: one of `gan.images.palettes.DITHERS`.
        max_pixels: limit of width * height, summed over the frames of an animation.
    """

    side: float | None = None
    palette: np.ndarray | None = None
    dither: str = "none"
    max_pixels: int = MAX_PIXELS

    def __call__(self, task: tuple[File, Path]) -> Unscaled:
        """Read a file and write it as PNG, atomically. Raise OSError if the file cannot be written."""
        file, target = task
        try:
            contents = files.read_file(file, FORMAT, self.max_pixels)
            grid = self.grid(contents.images[0])
            files.write(contents, target, lambda image: Image.fromarray(self.change(np.asarray(image), grid)), FORMAT)
        except TooLarge as error:
            return Unscaled(f"{error}; set another limit with --max-pixels")
        except ImageError as error:
            return Unscaled(str(error))
        except MemoryError:
            return Unscaled("does not fit into memory")
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            return Unscaled(reason(error))
        return Unscaled(factor=grid.factor if grid else "")

    def colors(self, file: File) -> np.ndarray:
        """Return the opaque pixels of the first frame at its own size, uint8 (N, 3); none if it cannot be read."""
        try:
            image = files.read_first(file.path, self.max_pixels)
        except (ImageError, MemoryError):
            return np.empty((0, 3), np.uint8)
        pixels = self.change(image, self.grid(image)).reshape(-1, image.shape[2])
        return pixels[pixels[:, -1] > 127][:, :3] if image.shape[2] == 4 else pixels

    def grid(self, pixels: np.ndarray) -> Grid | None:
        return find_grid(pixels) if self.side is None else grid_of_side(pixels, self.side)

    def change(self, pixels: np.ndarray, grid: Grid | None) -> np.ndarray:
        """Return the pixel art, uint8 (h, w, 3 or 4), of an image uint8 (H, W, 3 or 4)."""
        small = pixels if grid is None else restore(pixels, grid)
        if self.palette is None:
            return small
        alpha = small[..., 3] if small.shape[2] == 4 else None
        colors = to_pixel_art(small[..., :3], 1, self.palette, alpha, self.dither)
        return np.concatenate([colors, small[..., 3:]], -1)
