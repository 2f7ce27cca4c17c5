"""Mix latents: style mixing by layers, or blending by a fraction, which needs no mapping network.

Karras, Laine, Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019, arXiv:1812.04948,
section 3.1: coarse layers control pose and shape; fine layers control color and fine texture.
"""

from __future__ import annotations

from torch import Tensor

from gan.common.errors import UserError
from gan.latent.interpolation import lerp, slerp
from gan.latent.space import Space

Part = tuple[int, int] | float  # what is mixed: the first and last layer, or a fraction


def mix(space: Space, latents: Tensor, other: Tensor, part: Part) -> Tensor:
    """Return latents mixed with `other` (latent_dim,): `blend` for a fraction, else `mix_styles`."""
    return blend(space, latents, other, part) if isinstance(part, float) else mix_styles(space, latents, other, *part)


def per_layer(space: Space, latents: Tensor) -> Tensor:
    """Return latents (N, latent_dim) or (N, layers, latent_dim) as (N, layers, latent_dim), with the same images."""
    return latents if latents.ndim == 3 else latents[:, None].expand(-1, space.layers, -1)


def mix_styles(space: Space, latents: Tensor, other: Tensor, first: int, last: int) -> Tensor:
    """Return latents (N, layers, latent_dim) whose layers `first` to `last` are those of `other` (latent_dim,).

    Layers count from 0; `last` is included.

    Raises:
        UserError: the generator has no such layers, or no mapping network.
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
