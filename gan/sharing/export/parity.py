"""Compare an exported file with the PyTorch network it was made from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan.common.errors import UserError
from gan.images.convert import to_uint8
from gan.networks.transfer.color_map import ColorMap
from gan.sharing.export.parts import BATCHES, Part, as_tuple

MAX_DIFFERENCE = 1e-4  # of outputs; relative to the largest absolute value if that exceeds 1
MAX_LEVELS = 1  # of 255, after the conversion to uint8
HALF_DIFFERENCE, HALF_LEVELS = 0.05, 6  # with weights in fp16
SMALLEST_EFFECT = 10 * MAX_DIFFERENCE  # of inputs and of weights, so that the comparison proves something

Function = Callable[..., tuple[Tensor, ...]]


@dataclass(frozen=True)
class Difference:
    """The largest differences over all outputs: as floats, and of images in levels of 255."""

    floats: float = 0.0
    levels: int = 0

    def __str__(self) -> str:
        return f"{self.floats:.1e}, {self.levels} of 255 levels"

    def within(self, floats: float, levels: int) -> bool:
        return self.floats <= floats and self.levels <= levels


def check_alive(part: Part) -> None:
    """Raise UserError if the outputs of a network do not depend on its inputs or on its weights.

    Every comparison of such a network would succeed.
    """
    inputs = part.example(2, part.checked_sizes()[0])
    with torch.no_grad():
        outputs = as_tuple(part.run(part.original, *inputs))
        changed = as_tuple(part.run(perturbed(part.original), *inputs))
    if not all(bool(each.isfinite().all()) for each in outputs):
        raise UserError(f"{part.name}: its outputs are not finite; use an earlier checkpoint")
    name = "images" if part.gives_images else "outputs"
    if not any(differ(part, each[0], each[1]) for each in outputs):
        raise UserError(f"{part.name}: its {name} do not change with the inputs; train longer")
    if not any(differ(part, one, other) for one, other in zip(outputs, changed, strict=True)):
        raise UserError(f"{part.name}: its {name} do not change with the weights; train longer")


def differ(part: Part, x: Tensor, y: Tensor) -> bool:
    """Return whether outputs differ by SMALLEST_EFFECT, relative to the largest value if they are no images."""
    scale = 1.0 if part.gives_images else float(x.detach().abs().max())
    return float((x - y).detach().abs().max()) >= SMALLEST_EFFECT * scale


def perturbed(network: nn.Module) -> nn.Module:
    """Return a copy whose weights, and tables of fitted color maps, are multiplied by random factors from -1 to 1.

    The weights of a closed form, which nothing has trained, are its buffers.
    """
    network = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(0)
    color_maps = [module for module in network.modules() if isinstance(module, ColorMap) and not module.is_identity]
    trained = [*network.parameters(), *(each.table for each in color_maps)]
    weights = trained if getattr(network, "is_learned", True) else network.buffers()
    with torch.no_grad():
        for weight in filter(torch.is_floating_point, weights):
            weight.mul_(2 * torch.rand(weight.shape, generator=generator) - 1)
    for each in color_maps:
        each.read_buffers()
    return network


def compare(part: Part, function: Function) -> Difference:
    """Return the largest difference between a function and the trained network, over all sizes and batches."""
    floats, levels = 0.0, 0
    for size in part.checked_sizes():
        for n in BATCHES:
            inputs = part.example(n, size)
            with torch.no_grad():
                expected = as_tuple(part.run(part.original, *inputs))
            for found, right in zip(function(*inputs), expected, strict=True):
                if found.shape != right.shape:
                    raise UserError(f"{part.name}: an output has shape {tuple(found.shape)}, not {tuple(right.shape)}")
                scale = max(1.0, float(right.abs().max()))
                floats = max(floats, nan_to_inf(float((found - right).abs().max())) / scale)
                if part.gives_images:
                    levels = max(levels, int((to_uint8(found).int() - to_uint8(right).int()).abs().max()))
    return Difference(floats, levels)


def nan_to_inf(value: float) -> float:
    return value if value == value else float("inf")


def check(part: Part, function: Function, half: bool, file: str) -> Difference:
    """Return the difference of a file's function from the trained network; raise UserError if it is too large."""
    found = compare(part, function)
    limits = (HALF_DIFFERENCE, HALF_LEVELS) if half else (MAX_DIFFERENCE, MAX_LEVELS)
    if not found.within(*limits):
        raise UserError(
            f"{file}: not written, because it differs from PyTorch by {found}; at most {limits[0]:g} and {limits[1]} "
            f"{'levels' if limits[1] > 1 else 'level'} are allowed" + "; export without --fp16" * half
        )
    return found
