"""Ways from point to point: straight in w, along the sphere in z, whose points lie near one."""

from __future__ import annotations

import torch
from torch import Tensor

PARALLEL = 1e-4  # sine of the angle below which there is no arc to follow


def lerp(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """(1 - share) a + share b; at 0 and 1 the ends themselves. Shapes broadcast."""
    return (1 - share) * a + share * b


def slerp(a: Tensor, b: Tensor, share: Tensor) -> Tensor:
    """The way along the great circle through a and b, whose last axis is one vector; at 0 and 1 the ends themselves.

    Shoemake, "Animating Rotation with Quaternion Curves", 1985; White, "Sampling Generative Networks", 2016,
    arXiv:1609.04468, section 2.1. Vectors of one direction, or of opposite ones, go the straight way.
    """
    cosine = torch.cosine_similarity(a.double(), b.double(), dim=-1)[..., None].clamp(-1, 1)
    angle = cosine.acos()
    arc = ((1 - share) * angle).sin() / angle.sin() * a + (share * angle).sin() / angle.sin() * b
    return torch.where(angle.sin() < PARALLEL, lerp(a, b, share), arc.to(a.dtype))


def path(points: Tensor, frames: int, loop: bool = False, spherical: bool = False) -> Tensor:
    """Points (N, latent), or (N, layers, latent), -> (F, ...): `frames` from each to the next, the first being that
    point; then the last.

    Args:
        loop: from the last on to the first, which does not come twice: the end goes over into the beginning.
        spherical: by `slerp`, else by `lerp`.
    """
    after = points.roll(-1, 0)
    if not loop:
        points, last, after = points[:-1], points[-1:], after[:-1]
    share = (torch.arange(frames, dtype=points.dtype) / frames).view(-1, *[1] * (points.ndim - 1))  # (frames, 1, ...)
    way = (slerp if spherical else lerp)(points[:, None], after[:, None], share).flatten(0, 1)
    return way if loop else torch.cat([way, last])
