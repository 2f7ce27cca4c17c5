"""Combine latents: interpolation, style mixing by layers, or blending by a fraction.

Interpolation is linear in w. In z it is spherical, because latents have nearly the same length there, so that they lie
near a sphere.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gan.editing.space import Space
from gan.utils.errors import UserError

PARALLEL = 1e-4  # sine of the angle below which vectors are interpolated linearly

Part = tuple[int, int] | float  # what is mixed: the first and last layer, or a fraction


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


def mix(space: Space, latents: Tensor, other: Tensor, part: Part) -> Tensor:
    """Return latents mixed with `other` (latent_dim,): `blend` for a fraction, else `mix_styles`."""
    return blend(space, latents, other, part) if isinstance(part, float) else mix_styles(space, latents, other, *part)


def per_layer(space: Space, latents: Tensor) -> Tensor:
    """Return latents (N, latent_dim) or (N, layers, latent_dim) as (N, layers, latent_dim), with the same images."""
    return latents if latents.ndim == 3 else latents[:, None].expand(-1, space.layers, -1)


def mix_styles(space: Space, latents: Tensor, other: Tensor, first: int, last: int) -> Tensor:
    """Return latents (N, layers, latent_dim) whose layers `first` to `last` are those of `other` (latent_dim,).

    Layers count from 0; `last` is included. Karras, Laine, Aila, "A Style-Based Generator Architecture for Generative
    Adversarial Networks", 2019, arXiv:1812.04948, section 3.1: coarse layers control pose and shape; fine layers
    control color and fine texture.
    """
    if space.name == "z":
        raise UserError(
            "style mixing needs a mapping network, such as that of model=stylegan2; blend by a fraction instead, "
            "as in 12:0.5"
        )
    if not 0 <= first <= last < space.layers:
        raise UserError(f"layers {first}-{last}: this generator has layers 0-{space.layers - 1}, from coarse to fine")
    latents = per_layer(space, latents).clone()
    latents[:, first : last + 1] = other
    return latents


def blend(space: Space, latents: Tensor, other: Tensor, fraction: float) -> Tensor:
    """Return latents (N, latent_dim) or (N, layers, latent_dim) interpolated to `other` (latent_dim,) by a fraction."""
    t = latents.new_tensor(fraction)
    return slerp(latents, other, t) if space.name == "z" else lerp(latents, other, t)
