"""The smallest grid of a network: image sizes are such a grid times a power of two."""

from __future__ import annotations

from gan.utils.errors import UserError

CELLS = range(3, 9)  # valid heights and widths of the grid


def base_grid(size: tuple[int, int]) -> tuple[int, int, int]:
    """Return (rows, columns, doublings) with rows * 2^doublings = height, and the same for the width.

    The number of doublings is the largest that leaves a grid of at least 4 cells per side, as in the papers
    (64 = 4 * 2^4), or else of at least 3. Therefore portrait, landscape and odd sizes need no resampling. If no grid
    fits, UserError is raised.
    """
    height, width = size
    fits = [
        (height >> n, width >> n, n)
        for n in range(1, 13)
        if height % 2**n == width % 2**n == 0 and height >> n in CELLS and width >> n in CELLS
    ]
    if not fits:
        need = "the networks need a grid of 3 to 8 cells per side times a power of two, such as 64, 80 or 96"
        raise UserError(f"size {height}x{width}: {need} (data.size=[height,width])")
    return max(fits, key=lambda fit: (min(fit[0], fit[1]) >= 4, fit[2]))


def channels_at(width: int, max_channels: int, stages: int) -> list[int]:
    """Return the channels per stage, from the smallest grid: `width` in the last stage, doubled in each earlier one."""
    return [min(max_channels, width << stage) for stage in reversed(range(stages))]
