"""Check that a network fits the images of its configuration, on an empty batch, which needs no memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.common.option_values import pair
from gan.inference import blueprint
from gan.inference.construct import section
from gan.inference.sampling import CHUNK
from gan.inference.tiling import MIN_SIDE


def image_shape(config: Any, path: Path) -> tuple[int, int, int]:
    """Return the channels, height and width of the images that a configuration describes."""
    data = section(config, ("data",), path)
    try:
        height, width = pair(data.get("size"))
    except UserError as error:
        raise UserError(f"{path}: its configuration cannot be used: {error}") from error
    channels = data.get("channels")
    if channels not in (1, 3, 4) or isinstance(channels, bool) or max(height, width) > blueprint.MAX_NUMBER:
        raise UserError(f"{path}: its data.channels and data.size do not describe images of 1, 3 or 4 channels")
    return channels, height, width


def check_generator(network: Any, shape: tuple[int, int, int]) -> None:
    """Raise UserError if a generator or translator does not return images of this shape."""
    if hasattr(network, "latent_dim"):
        label = torch.zeros(0, dtype=torch.long) if getattr(network, "classes", 0) else None
        z = torch.zeros(0, network.latent_dim)
        check_output(network, network, shape, shape, z, label)
        return
    channels, height, width = shape
    for one in translators(network):
        sides = (-(-max(MIN_SIDE, side) // one.multiple) * one.multiple for side in (height, width))
        padded = (channels, *sides)
        check_output(one, one, padded, shape, torch.zeros(0, *padded))


def translators(network: Any) -> Iterator[Any]:
    """Yield the network of each direction."""
    for one in (network.a2b, network.b2a) if hasattr(network, "b2a") else (network,):
        if hasattr(one, "latent_dim") or not hasattr(one, "multiple"):
            raise UserError(f"{type(one).__module__}.{type(one).__name__} does not translate images")
        yield one


def check_output(
    network: Any, function: Any, shape: tuple[int, ...], images: tuple[int, int, int], *inputs: Any
) -> None:
    """Raise UserError if the output for the inputs is not one image of this shape, or does not fit into memory."""
    what = f"images of {images[2]}x{images[1]} pixels"
    blueprint.check_memory(4 * CHUNK * math.prod(shape), what)  # first, because networks have tensors of this size
    found, needed = blueprint.output_shape(network, function, *inputs)
    if not isinstance(found, Tensor) or found.shape[1:] != shape:
        raise UserError(f"its output has shape {tuple(getattr(found, 'shape', ()))[1:]}, but images have {images}")
    blueprint.check_memory(needed, what)


def check_discriminator(network: Any, shape: tuple[int, int, int]) -> None:
    """Raise UserError if a discriminator does not return features for images of this shape."""
    if not hasattr(network, "features"):
        raise UserError("it has no features of images")
    what = f"images of {shape[2]}x{shape[1]} pixels"
    blueprint.check_memory(4 * CHUNK * math.prod(shape), what)
    found, needed = blueprint.output_shape(network, network.features, torch.zeros(0, *shape))
    if not found or not all(isinstance(layer, Tensor) and layer.ndim == 4 for layer in found):
        raise UserError("it has no features of images")
    blueprint.check_memory(needed, what)
