"""Blend a generator and another one that started from it: coarse layers of one, fine layers of the other.

Pinkney, Adler, "Resolution Dependent GAN Interpolation for Controllable Image Synthesis Between Domains", 2020,
arXiv:2010.05334, equation 1. A layer belongs to the grid that it computes, from the smallest one to the image.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gan.models.sampling import NO_CLASSES, fixed_latents, reestimate_batch_norm
from gan.networks.layers import with_mean_class
from gan.settings import BLEND, LAYERS, SOFT
from gan.utils.errors import UserError

PARAMETRIZATION = "parametrizations"  # in names of modules that compute a weight, not a grid


@torch.no_grad()
def grid_heights(generator: Any) -> dict[str, int]:
    """Return the height of the feature map that each weight produces, by name.

    It is the output of the innermost module around the weight that returns a feature map (N, C, h, w), or the next
    feature map, if the module returns a vector. Weights that no module uses, such as a learned constant, have the
    smallest height.
    """
    heights: dict[str, int] = {}
    waiting: list[str] = []  # prefixes of modules that have run since the last grid

    def note(name: str, output: Any) -> None:
        waiting.append(f"{name}.")
        grid = output[0] if isinstance(output, tuple) else output
        if grid.ndim == 4 and grid.shape[2] > 1:  # gates have one cell
            heights.update({each: grid.shape[2] for each in names - heights.keys() if each.startswith(tuple(waiting))})
            waiting.clear()

    names = set(generator.state_dict())
    handles = [
        module.register_forward_hook(lambda _, given, output, name=name: note(name, output))
        for name, module in generator.named_modules()
        if name and PARAMETRIZATION not in name
    ]
    z = fixed_latents(1, generator.latent_dim).to(next(generator.parameters()).device)
    generator(z, torch.zeros(1, dtype=torch.long, device=z.device))
    for handle in handles:
        handle.remove()
    return {name: heights.get(name, min(heights.values())) for name in names}


def fractions(generator: Any, layers: int | None, soft: float, weight: float) -> dict[str, float]:
    """Return the fraction of the other generator in each weight, by name. Arguments are those of `gan.Model.blend`."""
    for setting, value in ((LAYERS, layers), (SOFT, soft), (BLEND, weight)):
        setting.check(value)
    if layers is None:
        return dict.fromkeys(generator.state_dict(), weight)
    below = {name: max(0.0, math.log2(layers / height)) for name, height in grid_heights(generator).items()}
    return {name: weight * max(0.0, 1 - each / max(soft, 1e-9)) for name, each in below.items()}


def fitting_weights(generator: Any, other: Any, shares: Mapping[str, float]) -> dict[str, Tensor]:
    """Return the weights of `other` for `generator`; raise UserError if those with a share do not fit."""
    weights = with_mean_class(other.state_dict(), generator)
    for name, value in generator.state_dict().items():
        fits = name in weights and weights[name].shape == value.shape
        if type(generator) is not type(other) or (shares[name] and not fits):
            raise UserError(f"blend: {name} differs in shape or type; both models need the same network and size")
    return weights


def blend(generator: Any, other: Any, shares: Mapping[str, float], class_counts: Tensor = NO_CLASSES) -> Any:
    """Return a copy of a generator with weights interpolated to those of `other`, each by its fraction in `shares`.

    The classes are those of `generator`. BatchNorm's statistics are estimated again.
    """
    blended, weights = copy.deepcopy(generator), fitting_weights(generator, other, shares)
    state = blended.state_dict()
    for name, share in shares.items():
        if share and state[name].is_floating_point():
            state[name] = torch.lerp(state[name], weights[name].to(state[name]), share)
    blended.load_state_dict(state)
    reestimate_batch_norm(blended, blended.latent_dim, class_counts)
    return blended
