"""Pictures of another size or aspect from the same latents: a generator whose small grid has other sides.

Convolutions go over any grid. So what the first stage takes, learned or made from the latent, is resampled
to a grid of the sides asked for, and noise with it: forms are stretched, and grain is not.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan.common.errors import UserError
from gan.inference.sampling import fixed_latents
from gan.latent.space import synthesis_layers

LARGEST = 4096  # pixels a side


def resized(generator: Any, size: tuple[int, int]) -> Any:
    """A copy of a generator in eval mode that draws pictures of (height, width).

    Raises:
        UserError: no grid becomes this size.
    """
    grid, cell = grid_of(generator)
    if any(side % cell or not 0 < side <= LARGEST for side in size):
        raise UserError(
            f"size {size[0]}x{size[1]}: this generator draws sides that are multiples of {cell} pixels, up to {LARGEST}"
        )
    other = copy.deepcopy(generator)
    new = (size[0] // cell, size[1] // cell)
    entry(other).register_forward_pre_hook(
        lambda module, given: (interpolate(given[0], new, mode="bilinear", align_corners=False), *given[1:])
    )
    for module in other.modules():
        noise = getattr(module, "noise", None)
        if isinstance(noise, Tensor):
            scaled = (noise.shape[2] * new[0] // grid[0], noise.shape[3] * new[1] // grid[1])
            module.noise = interpolate(noise, scaled, mode="nearest")
    return other


def entry(generator: Any) -> nn.Module:
    """The module that takes the grid; of a sequence its first, since a label may have the parts called one by one."""
    first = synthesis_layers(generator)[0]
    return first[0] if isinstance(first, nn.Sequential) else first


@torch.no_grad()
def grid_of(generator: Any) -> tuple[tuple[int, int], int]:
    """(rows, columns) that the first stage takes, and the pixels a side that a cell of it becomes."""
    taken: list[tuple[int, int]] = []
    handle = entry(generator).register_forward_pre_hook(
        lambda module, given: taken.append((given[0].shape[2], given[0].shape[3]))
    )
    z = fixed_latents(1, generator.latent_dim).to(next(generator.parameters()).device)
    try:
        image = generator(z, torch.zeros(1, dtype=torch.long, device=z.device))
    finally:
        handle.remove()
    return taken[0], image.shape[2] // taken[0][0]
