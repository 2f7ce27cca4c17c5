"""Seamless translations: apply a function of images to an image whose opposite borders fit together, and keep that.

The image is continued at its borders, and the result is cut to its size again. Screens, grain and brush strokes differ
between a place and the same place one period further. So the cut is not straight: it takes the path along which both
differ least (Efros and Freeman, "Image Quilting for Texture Synthesis and Transfer", 2001, section 2.1), which keeps
the colors of all pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

import numpy as np

AXES = {"x": (1,), "y": (0,), "both": (1, 0)}  # dimensions of (H, W, C) along which images wrap around
MARGIN = 0.25  # of each side, by which an image is continued
MIN_MARGIN = 32  # pixels
STEP = 16  # of margins, because the results of networks that halve the sides move with their input by such steps
AREA = (1 + 2 * MARGIN) ** 2  # of what is translated, relative to a large image

_SIZE: ContextVar[tuple[int, int] | None] = ContextVar("size", default=None)


def size_of(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the height and width of an image of a shape (H, W, ...), without what `translated` adds."""
    return _SIZE.get() or (shape[0], shape[1])


def translated(function: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray, axes: str) -> np.ndarray:
    """Return the seamless result, uint8 (H, W, C), of a function of images of any size.

    Args:
        function: keeps the size. Lengths that it takes from the size come from `size_of`.
        pixels: uint8 (H, W, 3 or 4) whose borders fit together along the axes.
        axes: "x", "y" or "both".
    """
    margins = {n: max(MIN_MARGIN, round(MARGIN * pixels.shape[n] / STEP) * STEP) for n in AXES[axes]}
    token = _SIZE.set((pixels.shape[0], pixels.shape[1]))
    try:
        result = function(continued(pixels, margins))
    finally:
        _SIZE.reset(token)
    for n in AXES[axes]:
        margin = margins.pop(n)
        result = cut(result.swapaxes(0, n), margin, margins.get(1 - n, 0)).swapaxes(0, n)
    return np.ascontiguousarray(result)


def continued(pixels: np.ndarray, margins: dict[int, int]) -> np.ndarray:
    """Continue pixels (H, W, C) at both ends of dimensions by a number of pixels of the opposite end."""
    return np.pad(pixels, [(margins.get(n, 0),) * 2 for n in range(pixels.ndim)], "wrap")


def cut(image: np.ndarray, margin: int, other: int) -> np.ndarray:
    """Cut an image (H + 2 margin, W + 2 other, C) to (H, W + 2 other, C), whose upper and lower borders fit together.

    Args:
        other: margin of the columns; the path is the same one period further.
    """
    height, width = len(image) - 2 * margin, image.shape[1] - 2 * other
    band = slice(margin // 2, margin + margin // 2)  # rows of the path; half a margin is left for what filters reach
    levels = image.astype(np.int32)
    differences = np.abs(levels[band] - levels[height:][band]).sum(-1)
    path = closed_path(differences[:, other : other + width]) + band.start
    columns = np.arange(-other, width + other)
    path = path[columns % width]
    rows = np.arange(margin, margin + height)[:, None]
    rows = np.where(rows < path, rows + height, np.where(rows >= path + height, rows - height, rows))
    return image[rows, np.arange(image.shape[1])]


def closed_path(costs: np.ndarray) -> np.ndarray:
    """Return the row (W,) of each column on a path of least cost (h, W), which ends in the row where it starts."""
    costs = costs.astype(float)
    start = int((costs[:, 0] + costs[:, -1]).argmin())
    others = np.arange(len(costs)) != start
    costs[others, 0] = costs[others, -1] = np.inf
    total, steps = costs[:, 0], []
    for column in range(1, costs.shape[1]):
        around = np.pad(total, 1, constant_values=np.inf)
        near = np.stack([around[1:-1], around[:-2], around[2:]])  # from the same row, the one above and the one below
        steps.append(near.argmin(0))
        total = near.min(0) + costs[:, column]
    path = [start]
    for step in reversed(steps):
        path.append(path[-1] + (0, -1, 1)[step[path[-1]]])
    return np.array(path[::-1])
