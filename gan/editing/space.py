"""Latent spaces of a generator: z, its input, and w, the output of its mapping network if it has one.

A latent has latent_dim elements. In w+ each layer has its own w: Abdal, Qin, Wonka, "Image2StyleGAN: How to Embed
Images Into the StyleGAN Latent Space?", 2019, arXiv:1904.03189. `resized` gives images of another size for the same
latents.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan.images.convert import to_uint8
from gan.models.sampling import fixed_latents, in_chunks
from gan.utils.errors import UserError

STATISTICS_LATENTS = 4096  # samples for the mean and standard deviation of w
MAX_SIDE = 4096  # pixels of a generated image


class Space:
    """A latent space of a generator in eval mode, on the generator's device.

    Latents are (N, latent_dim), or (N, layers, latent_dim) in w+.

    Args:
        name: "z" or "w". The default is w if the generator has a mapping network, else z.

    Raises:
        UserError: the generator has no such space.
    """

    def __init__(self, generator: Any, name: str = "") -> None:
        mapped = hasattr(generator, "mapping")
        self.name = name or ("w" if mapped else "z")
        if self.name not in ("z", "w"):
            raise UserError(f"latent space {name}: choose z, or w of a generator with a mapping network")
        if self.name == "w" and not mapped:
            raise UserError(
                f"the space w and truncation need a mapping network, which {network_name(generator)} lacks; train with "
                "model=stylegan2 or another generator that has one"
            )
        self.generator = generator
        self.size: int = generator.latent_dim
        self.layers: int = require(generator, "num_ws", "the space w") if self.name == "w" else 1
        self.classes: int = getattr(generator, "classes", 0)

    @property
    def device(self) -> torch.device:
        parameter: Tensor = next(self.generator.parameters())
        return parameter.device

    @torch.no_grad()
    def from_z(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        """Map z (N, latent_dim) to this space, on the CPU. Each row of the result is independent of the others."""
        return z if self.name == "z" else in_chunks(self.generator.mapping, self.device, z, label)

    def fixed_sample(self, n: int, label: Tensor | None = None) -> Tensor:
        """Return the n fixed latents (n, latent_dim) for statistics. label is (n,), or (1,) for one class."""
        return self.from_z(fixed_latents(n, self.size), None if label is None else label.expand(n))

    def synthesize(self, latents: Tensor, label: Tensor | None = None) -> Tensor:
        """Return images (N, C, H, W), nominally in [-1, 1], differentiable with respect to the latents."""
        if self.name == "z":
            image: Tensor = self.generator(latents, label)
        else:
            image = self.generator.synthesis(latents if latents.ndim == 2 else latents.transpose(0, 1))
        return image

    @torch.no_grad()
    def render(self, latents: Tensor, label: Tensor | None = None) -> Tensor:
        """Return images (N, C, H, W) on the CPU, without gradients. Each image is independent of the others."""
        return in_chunks(self.synthesize, self.device, latents, label)

    @torch.no_grad()
    def render_uint8(
        self, latents: Tensor, label: Tensor | None = None, advance: Callable[[int], None] = lambda done: None
    ) -> Tensor:
        """Return images uint8 (N, C, H, W) on the CPU. Each image is independent of the others.

        `advance` is called with the number of images since the last call.
        """
        return in_chunks(lambda *chunk: to_uint8(self.synthesize(*chunk)), self.device, latents, label, advance=advance)

    @cached_property
    def statistics(self) -> tuple[Tensor, Tensor]:
        """The mean (classes or 1, latent_dim) and standard deviation (classes or 1, 1) of the latents of each class.

        The standard deviation is the root mean square over all dimensions.
        """
        if self.name == "z":
            return torch.zeros(1, self.size), torch.ones(1, 1)
        labels = [torch.tensor([label]) for label in range(self.classes)]
        latents = torch.stack([self.fixed_sample(STATISTICS_LATENTS, label) for label in labels or (None,)])
        means = latents.mean(1, keepdim=True)  # of (classes, n, latent_dim)
        return means[:, 0], (latents - means).square().mean((1, 2))[:, None].sqrt()

    def truncate(self, latents: Tensor, psi: float, label: Tensor | None = None) -> Tensor:
        """Return latents (N, latent_dim) moved towards the mean: psi=0 gives the mean, psi=1 the unchanged latents.

        Karras et al., 2019, arXiv:1812.04948, section 2.1.
        """
        if psi == 1:
            return latents
        means = self.statistics[0]
        mean = means[label] if label is not None and len(means) > 1 else means[:1]
        return mean + psi * (latents - mean)


def network_name(network: Any) -> str:
    return f"{type(network).__module__}.{type(network).__name__}"


def require(network: Any, attribute: str, purpose: str, instead: str = "") -> Any:
    """Return an optional attribute of a network; raise UserError if it lacks what `purpose` needs."""
    if not hasattr(network, attribute):
        raise UserError(f"{network_name(network)} has no {attribute}, which {purpose} needs{instead}")
    return getattr(network, attribute)


def resized(generator: Any, size: tuple[int, int]) -> Any:
    """Return a copy of a generator in eval mode that generates images of (height, width) from the same latents.

    Convolutions accept any grid. The input of the first synthesis layer, which is learned or computed from the latent,
    is resampled to a grid of the requested shape; fixed noise is resampled too. This stretches shapes but keeps fine
    texture.
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
    first: Any = next(iter(require(generator, "synthesis_layers", "another size")))
    layer: nn.Module = first[0] if isinstance(first, nn.Sequential) else first
    return layer


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
