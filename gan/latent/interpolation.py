"""Interpolate between latents: linearly in w, spherically in z.

In z, latents have nearly the same length, so they lie near a sphere.
"""

from __future__ import annotations

import torch
from torch import Tensor

PARALLEL = 1e-4  # sine of the angle below which vectors are interpolated linearly


def lerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Return (1 - t) a + t b. t=0 and t=1 return exactly a and b. Shapes broadcast."""
    return (1 - t) * a + t * b


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Interpolate between vectors a and b (last dimension) on a great circle. t=0 and t=1 return exactly a and b.

    Shoemake, "Animating Rotation with Quaternion Curves", 1985; White, "Sampling Generative Networks", 2016,
    arXiv:1609.04468, section 2.1. Parallel and opposite vectors are interpolated linearly.
    """
    cosine = torch.cosine_similarity(a.double(), b.double(), dim=-1)[..., None].clamp(-1, 1)
    angle = cosine.acos()
    arc = ((1 - t) * angle).sin() / angle.sin() * a + (t * angle).sin() / angle.sin() * b
    return torch.where(angle.sin() < PARALLEL, lerp(a, b, t), arc.to(a.dtype))


def interpolate(latents: Tensor, frames: int, loop: bool = False, spherical: bool = False) -> Tensor:
    """Return latents (F, ...) that interpolate between consecutive latents (N, ...).

    Each latent is followed by `frames` - 1 latents between it and the next.

    Args:
        loop: also interpolate from the last latent to the first, without repeating the first at the end.
        spherical: use `slerp`; the default is `lerp`.
    """
    following = latents.roll(-1, 0)
    if not loop:
        latents, last, following = latents[:-1], latents[-1:], following[:-1]
    t = (torch.arange(frames, dtype=latents.dtype) / frames).view(-1, *[1] * (latents.ndim - 1))  # (frames, 1, ...)
    result = (slerp if spherical else lerp)(latents[:, None], following[:, None], t).flatten(0, 1)
    return result if loop else torch.cat([result, last])
