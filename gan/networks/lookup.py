"""Colors of 3D lookup tables, by trilinear interpolation."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor
from torch.nn import functional as F


def identity_table(size: int) -> Tensor:
    """Return the table (3, size, size, size) that maps each color in [-1, 1] to itself; its axes: blue, green, red."""
    steps = torch.linspace(-1, 1, size)
    blue, green, red = torch.meshgrid(steps, steps, steps, indexing="ij")
    return torch.stack([red, green, blue])


def sampled(luts: Tensor, color: Tensor) -> Tensor:
    """Return the colors (N, 3, h, w) that LUTs (N, 3, P, P, P) have for colors (N, 3, h, w) in [-1, 1]."""
    # The color is the position in the LUT; grid_sample expects positions in [-1, 1].
    y = F.grid_sample(luts, color.movedim(1, -1)[:, None], padding_mode="border", align_corners=True)
    return y[:, :, 0]  # (N, 3, 1, h, w) -> (N, 3, h, w)


def gathered(luts: Tensor, color: Tensor) -> Tensor:
    """Return the same as `sampled`: the sum of the eight nearest entries, weighted by their distance on each axis.

    Args:
        luts: (N or 1, 3, P, P, P).
    """
    size = luts.shape[-1]
    position = (color.clamp(-1, 1) + 1) * ((size - 1) / 2)  # (N, 3, h, w), in entries along red, green and blue
    lower = position.floor().clamp(max=size - 2)
    upper_weight = position - lower
    red, green, blue = lower.long().unbind(1)
    first = (
        torch.arange(luts.shape[0], device=luts.device)[:, None, None] * size**3 + (blue * size + green) * size + red
    )
    table = luts.flatten(2).transpose(1, 2).flatten(0, 1)  # (N P^3, 3): a row per entry
    total = torch.zeros_like(color).movedim(1, -1)
    for corner in itertools.product((0, 1), repeat=3):
        weights = (upper_weight[:, n] if up else 1 - upper_weight[:, n] for n, up in enumerate(corner))
        step = corner[0] + size * corner[1] + size**2 * corner[2]
        total = total + table[first + step] * math.prod(weights)[..., None]  # type: ignore[index]
    return total.movedim(-1, 1)
