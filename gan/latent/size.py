"""Generate images of another size or aspect ratio from the same latents, by resizing the smallest grid.

Convolutions accept any grid. The input of the first synthesis layer, which is learned or computed from the latent, is
resampled to a grid of the requested shape; fixed noise is resampled too. This stretches shapes but keeps fine texture.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan.common.errors import UserError
from gan.inference.sampling import fixed_latents
from gan.latent.space import network_name, require

MAX_SIDE = 4096  # pixels of a generated image


def resized(generator: Any, size: tuple[int, int]) -> Any:
    """Return a copy of a generator in eval mode that generates images of (height, width).

    Raises:
        UserError: the generator has no `synthesis_layers`, or no grid gives this size.
    """
    grid, cell = grid_of(generator)
    if any(side % cell or not 0 < side <= MAX_SIDE for side in size):
        raise UserError(
            f"size {size[0]}x{size[1]}: both sides must be multiples of {cell} pixels, up to {MAX_SIDE}, with this "
            "generator"
        )
    other = copy.deepcopy(generator)
    new = (size[0] // cell, size[1] // cell)
    first_layer(other).register_forward_pre_hook(
        lambda module, given: (interpolate(given[0], new, mode="bilinear", align_corners=False), *given[1:])
    )
    for module in other.modules():
        noise = getattr(module, "noise", None)
        if isinstance(noise, Tensor):
            scaled = (noise.shape[2] * new[0] // grid[0], noise.shape[3] * new[1] // grid[1])
            module.noise = interpolate(noise, scaled, mode="nearest")
    return other


def first_layer(generator: Any) -> nn.Module:
    """Return the module whose input is the smallest grid.

    If the first synthesis layer is an nn.Sequential, this is its first module: conditional generators call the modules
    of a Sequential one by one.
    """
    layers = list(require(generator, "synthesis_layers", "another size"))
    if not layers:
        raise UserError(f"{network_name(generator)} has empty synthesis_layers; another size needs them")
    return layers[0][0] if isinstance(layers[0], nn.Sequential) else layers[0]


@torch.no_grad()
def grid_of(generator: Any) -> tuple[tuple[int, int], int]:
    """Return (rows, columns) of the first synthesis layer's input, and the side of one cell in output pixels."""
    inputs: list[Any] = []
    handle = first_layer(generator).register_forward_pre_hook(lambda module, given: inputs.append(given[0]))
    z = fixed_latents(1, generator.latent_dim).to(next(generator.parameters()).device)
    try:
        image = generator(z, torch.zeros(1, dtype=torch.long, device=z.device))
    finally:
        handle.remove()
    if not inputs or inputs[0].ndim != 4:
        raise UserError(
            f"{network_name(generator)}: the input of its first synthesis layer is not a grid (N, C, H, W), which "
            "--size needs"
        )
    rows, columns = inputs[0].shape[2:]
    return (rows, columns), image.shape[2] // rows
