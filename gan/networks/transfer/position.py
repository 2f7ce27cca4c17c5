"""Functions of the position in an image, in which a color map can vary: a vignette, and a frame or border.

Positions are fractions of the image's height and width, so that a map is the same for any size and aspect ratio.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan.networks.tile_position import TilePosition

# Distances from the nearest edge at which the functions of a frame peak, as fractions of the side. The last distance is
# where they have ended.
FRAME_KNOTS = (0.0, 0.015, 0.03, 0.045, 0.06, 0.08, 0.105, 0.135, 0.17)
RADIAL = 3  # 1, r^2, r^4, ...: the powers of the squared radius
BASES = {"radial": slice(0, RADIAL), "frame": slice(RADIAL, RADIAL + len(FRAME_KNOTS) - 1)}
NUM_BASES = RADIAL + len(FRAME_KNOTS) - 1


def rows_and_columns(position: TilePosition, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the centers of the rows (h, 1) and columns (1, w) of a tile as fractions of the image's sides.

    Args:
        like: the tile (N, C, h, w).
    """
    height, width = like.shape[2:]
    rows = torch.arange(height, device=like.device, dtype=like.dtype).add(position.top + 0.5) / position.height
    columns = torch.arange(width, device=like.device, dtype=like.dtype).add(position.left + 0.5) / position.width
    return rows[:, None], columns[None]


def squared_radius(rows: Tensor, columns: Tensor) -> Tensor:
    """Return the squared distance from the image's center; 1 in the corners."""
    return 2 * ((rows - 0.5).square() + (columns - 0.5).square())


def edge_distance(rows: Tensor, columns: Tensor) -> Tensor:
    """Return the distance from the nearest edge as a fraction of the side: 0 to 0.5."""
    return torch.minimum(torch.minimum(rows, 1 - rows), torch.minimum(columns, 1 - columns))


def bases(rows: Tensor, columns: Tensor) -> Tensor:
    """Return all functions of the position, (NUM_BASES, ...), for rows and columns that are fractions of the sides."""
    r2 = squared_radius(rows, columns)
    distance = edge_distance(rows, columns)
    hats = []
    for knot, following, before in zip(FRAME_KNOTS, FRAME_KNOTS[1:], (-1.0, *FRAME_KNOTS), strict=False):
        rising = (distance - before) / (knot - before)
        falling = (following - distance) / (following - knot)
        hats.append(torch.minimum(rising, falling).clamp(0, 1))
    return torch.stack([r2**power for power in range(RADIAL)] + hats)


def mean_bases(side: int = 64) -> Tensor:
    """Return the means of all functions over an image, (NUM_BASES,): for windows whose position is unknown."""
    centers = (torch.arange(side) + 0.5) / side
    return bases(centers[:, None], centers[None]).flatten(1).mean(1)
