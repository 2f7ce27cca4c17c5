"""Zoom and shift images through their latents: find nearby latents whose images match the zoomed or shifted ones.

Jahanian, Chai, Isola, "On the 'steerability' of generative adversarial networks", 2020, arXiv:1907.07171, minimize the
distance to the warped images (equation 2) over one direction for all latents. Here each latent is optimized by itself.
Pixels that enter the image at an edge are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from gan.editing.projection import Descent
from gan.editing.space import Space

POSITIONS = ("zoom", "shift_x", "shift_y")
ZOOM = 1.25  # magnification by zoom=1
SHIFT = 0.125  # shift_x=1 shifts right, and shift_y=1 down, by this fraction of the side
STEPS = 60
SEARCHED = [step / 10 for step in range(-20, 21)]  # settings that `measure_shift` tries


def warp(images: Tensor, zoom: float = 0.0, shift_x: float = 0.0, shift_y: float = 0.0) -> Tensor:
    """Return images (N, C, H, W) zoomed and shifted, in units of ZOOM and SHIFT. Unknown pixels are NaN."""
    scale = ZOOM**-zoom
    theta = torch.tensor([[scale, 0, -2 * SHIFT * shift_x * scale], [0, scale, -2 * SHIFT * shift_y * scale]])
    grid = affine_grid(theta.expand(len(images), 2, 3), list(images.shape), align_corners=False).to(images)
    warped = grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return warped.where((grid.abs() <= 1).all(-1)[:, None], torch.nan)


def edit(space: Space, latents: Tensor, by: Mapping[str, float], label: Tensor | None = None) -> Tensor:
    """Return latents (N, latent_dim) or (N, layers, latent_dim) near the given ones, with images zoomed and shifted.

    Args:
        by: settings of POSITIONS, in units of ZOOM and SHIFT.
        label: (N,), the class of each latent, for conditional generators.
    """
    if not any(by.values()):
        return latents
    targets = warp(space.render(latents, label), **by)
    return Descent(space, 0, STEPS, STEPS, noise=0.0)(latents, targets, label)[0]


def measure_shift(before: Tensor, after: Tensor, name: str) -> Tensor:
    """Return the setting (N,) of `name` that warps each image `before` to be nearest to the image `after`.

    The minimum over SEARCHED is refined by a parabola through it and its two neighbors.
    """
    distances = []
    for value in SEARCHED:
        target = warp(before, **{name: value})
        known = target.isfinite()
        squares = (after - target.nan_to_num(0)).square() * known
        distances.append(squares.sum((1, 2, 3)) / known.sum((1, 2, 3)))
    distance = torch.stack(distances, 1)  # (N, values)
    at = distance.argmin(1).clamp(1, len(SEARCHED) - 2)
    left, middle, right = (distance.gather(1, at[:, None] + side)[:, 0] for side in (-1, 0, 1))
    offset = (left - right) / (2 * (left - 2 * middle + right)).clamp(min=1e-12)
    return (at + offset.clamp(-1, 1)) * (SEARCHED[1] - SEARCHED[0]) + SEARCHED[0]
