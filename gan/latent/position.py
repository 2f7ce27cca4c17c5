"""Pictures zoomed and shifted through their latents: points near the given ones, whose pictures are the moved ones.

What Jahanian, Chai, Isola, "On the 'steerability' of generative adversarial networks", 2020, arXiv:1907.07171, ask of a
walk in equation 2, asked of each point by itself: the picture is moved, and the point follows it. What comes in at an
edge is free.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from gan.latent.projection import Descent
from gan.latent.space import Space

POSITIONS = ("zoom", "shift_x", "shift_y")
ZOOM = 1.25  # by which 1 enlarges
SHIFT = 0.125  # of the side, by which 1 moves to the right, or down
STEPS = 60
SEARCHED = [step / 10 for step in range(-20, 21)]  # units


def warped(images: Tensor, zoom: float = 0.0, shift_x: float = 0.0, shift_y: float = 0.0) -> Tensor:
    """Pictures (N, C, H, W) moved by so many units, NaN where nothing is known."""
    scale = ZOOM**-zoom
    theta = torch.tensor([[scale, 0, -2 * SHIFT * shift_x * scale], [0, scale, -2 * SHIFT * shift_y * scale]])
    places = affine_grid(theta.expand(len(images), 2, 3), list(images.shape), align_corners=False).to(images)
    moved = grid_sample(images, places, mode="bilinear", padding_mode="border", align_corners=False)
    return moved.where((places.abs() <= 1).all(-1)[:, None], torch.nan)


def moved(space: Space, points: Tensor, by: Mapping[str, float], label: Tensor | None = None) -> Tensor:
    """Points (N, latent) or (N, layers, latent) near the given ones, whose pictures are zoomed and shifted.

    Args:
        by: of POSITIONS, in units of ZOOM and SHIFT.
        label: (N,), of generators with classes.
    """
    if not any(by.values()):
        return points
    targets = warped(space.seen(points, label), **by)
    return Descent(space, 0, STEPS, STEPS, noise=0.0)(points, targets, label)[0]


def found(before: Tensor, after: Tensor, name: str) -> Tensor:
    """(N,), by how many units pictures (N, C, H, W) have moved: where the ones before, moved, are nearest to them.

    Among SEARCHED, and by a parabola between the nearest and its neighbors.
    """
    distances = []
    for value in SEARCHED:
        target = warped(before, **{name: value})
        known = target.isfinite()
        squares = (after - target.nan_to_num(0)).square() * known
        distances.append(squares.sum((1, 2, 3)) / known.sum((1, 2, 3)))
    distance = torch.stack(distances, 1)  # (N, values)
    at = distance.argmin(1).clamp(1, len(SEARCHED) - 2)
    left, middle, right = (distance.gather(1, at[:, None] + side)[:, 0] for side in (-1, 0, 1))
    beyond = (left - right) / (2 * (left - 2 * middle + right)).clamp(min=1e-12)
    return (at + beyond.clamp(-1, 1)) * (SEARCHED[1] - SEARCHED[0]) + SEARCHED[0]
