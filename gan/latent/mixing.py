"""Pictures put together from two: style mixing by layers, and the way between where there are none.

Karras, Laine, Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019, arXiv:1812.04948,
section 3.1: coarse layers carry pose and shape, fine ones color and grain.
"""

from __future__ import annotations

from torch import Tensor

from gan.common.errors import UserError
from gan.latent.interpolation import lerp, slerp
from gan.latent.space import Space


def layered(space: Space, points: Tensor) -> Tensor:
    """Points (N, latent) or (N, layers, latent) -> (N, layers, latent), each the same picture as before."""
    return points if points.ndim == 3 else points[:, None].expand(-1, space.layers, -1)


def mixed(space: Space, points: Tensor, other: Tensor, first: int, last: int) -> Tensor:
    """Points with layers `first` to `last`, from 0 on, of another point (latent,): (N, layers, latent).

    Raises:
        UserError: there are no such layers.
    """
    if space.name == "z":
        raise UserError("mixing by layers needs a mapping, as model=stylegan2 has; mix by a share, as in 12:0.5")
    if not 0 <= first <= last < space.layers:
        raise UserError(f"layers {first}-{last}: this generator has 0-{space.layers - 1}, from coarse to fine")
    points = layered(space, points).clone()
    points[:, first : last + 1] = other
    return points


def between(space: Space, points: Tensor, other: Tensor, share: float) -> Tensor:
    """Points (N, latent) or (N, layers, latent) a share of the way to another point (latent,)."""
    step = points.new_tensor(share)
    return slerp(points, other, step) if space.name == "z" else lerp(points, other, step)
