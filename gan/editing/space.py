"""Latent spaces of a generator: z, its input, and w, the output of its mapping network if it has one.

A latent has latent_dim elements. In w+ each layer has its own w: Abdal, Qin, Wonka, "Image2StyleGAN: How to Embed
Images Into the StyleGAN Latent Space?", 2019, arXiv:1904.03189.

Latents are combined by interpolation, or by style mixing. Interpolation is linear in w. In z it is spherical, because
latents have nearly the same length there, so that they lie near a sphere. `resized` gives images of another size for
the same latents.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gan.images.convert import to_uint8
from gan.models.sampling import fixed_latents, in_chunks
from gan.networks.torus import WHOLE, local
from gan.utils.errors import UserError

STATISTICS_LATENTS = 4096  # samples for the mean and standard deviation of w
MAX_SIDE = 4096  # pixels of a generated image
PARALLEL = 1e-4  # sine of the angle below which vectors are interpolated linearly

Part = tuple[int, int] | float  # what is mixed: the first and last layer, or a fraction


class Latents(NamedTuple):
    """Latents of images and their classes: what `Model.latents`, `Model.edit` and `Model.project` return.

    Attributes:
        latents: (N, latent_dim), or (N, layers, latent_dim) in w+.
        labels: (N,), the class of each latent; None for an unconditional generator.
    """

    latents: Tensor
    labels: Tensor | None = None


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
            lacks = f"which {network_name(generator)} lacks; train with model=stylegan2"
            raise UserError(f"the space w and truncation need a mapping network, {lacks}")
        self.generator = generator
        self.size: int = generator.latent_dim
        self.layers: int = require(generator, "num_ws", "the space w") if self.name == "w" else 1
        self.classes: int = generator.classes

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

        A generator with a center, as imported ones have, gives the mean.
        The standard deviation is the root mean square over all dimensions.
        """
        if self.name == "z":
            return torch.zeros(1, self.size), torch.ones(1, 1)
        labels = [torch.tensor([label]) for label in range(self.classes)]
        latents = torch.stack([self.fixed_sample(STATISTICS_LATENTS, label) for label in labels or (None,)])
        means = latents.mean(1, keepdim=True)  # of (classes, n, latent_dim)
        std = (latents - means).square().mean((1, 2))[:, None].sqrt()
        if (center := getattr(self.generator, "center", None)) is not None:  # the authors' mean of w over all classes
            return center.cpu().expand(len(std), -1), std
        return means[:, 0], std

    def truncate(self, latents: Tensor, psi: float, label: Tensor | None = None) -> Tensor:
        """Return latents (N, latent_dim) moved towards the mean: psi=0 gives the mean, psi=1 the unchanged latents.

        Karras et al., 2019, arXiv:1812.04948, section 2.1.
        """
        if psi == 1:
            return latents
        means = self.statistics[0]
        mean = means[label] if label is not None and len(means) > 1 else means[:1]
        return mean + psi * (latents - mean)


# ---- combine latents


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
    """Return latents (N, ...) mixed with `other` (latent_dim,): interpolated by a fraction, else `mix_styles`."""
    if not isinstance(part, float):
        return mix_styles(space, latents, other, *part)
    return (slerp if space.name == "z" else lerp)(latents, other, latents.new_tensor(part))


def mix_styles(space: Space, latents: Tensor, other: Tensor, first: int, last: int) -> Tensor:
    """Return latents (N, layers, latent_dim) whose layers `first` to `last` are those of `other` (latent_dim,).

    The given latents are (N, latent_dim) or (N, layers, latent_dim). Layers count from 0; `last` is included. Karras,
    Laine, Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", 2019, arXiv:1812.04948,
    section 3.1: coarse layers control pose and shape; fine layers control color and fine texture.
    """
    if space.name == "z":
        raise UserError("style mixing needs a mapping network; blend by a fraction instead, as in 12:0.5")
    if not 0 <= first <= last < space.layers:
        raise UserError(f"layers {first}-{last}: this generator has layers 0-{space.layers - 1}, from coarse to fine")
    mixed = (latents if latents.ndim == 3 else latents[:, None].expand(-1, space.layers, -1)).clone()
    mixed[:, first : last + 1] = other
    return mixed


# ---- parts of the network


def network_name(network: nn.Module) -> str:
    return f"{type(network).__module__}.{type(network).__name__}"


def require(network: nn.Module, attribute: str, purpose: str, instead: str = "") -> Any:
    """Return an optional attribute of a network; raise UserError if it lacks what `purpose` needs."""
    if not hasattr(network, attribute):
        raise UserError(f"{network_name(network)} has no {attribute}, which {purpose} needs{instead}")
    return getattr(network, attribute)


def resized(generator: nn.Module, size: tuple[int, int]) -> Any:
    """Return a copy of a generator in eval mode that generates images of (height, width) from the same latents.

    Convolutions accept any grid. The input of the first synthesis layer, which is learned or computed from the latent,
    is resampled to a grid of the requested shape; fixed noise is resampled too. This stretches shapes but keeps fine
    texture.
    """
    grid, cell = grid_of(generator)
    if any(side % cell or not 0 < side <= MAX_SIDE for side in size):
        raise UserError(f"size {size[0]}x{size[1]}: both sides must be multiples of {cell} pixels, up to {MAX_SIDE}")
    other = copy.deepcopy(generator)
    new = (size[0] // cell, size[1] // cell)
    factors = new[0] / grid[0], new[1] / grid[1]
    first_layer(other).register_forward_pre_hook(lambda module, given: (rescaled(given[0], factors), *given[1:]))
    for module in other.modules():
        noise = getattr(module, "noise", None)
        if isinstance(noise, Tensor):
            scaled = (noise.shape[2] * new[0] // grid[0], noise.shape[3] * new[1] // grid[1])
            module.noise = functional.interpolate(noise, scaled, mode="nearest")
    return other


@local(WHOLE)
def rescaled(x: Tensor, factors: tuple[float, float]) -> Tensor:
    size = [round(side * factor) for side, factor in zip(x.shape[2:], factors, strict=True)]
    return functional.interpolate(x, size, mode="bilinear", align_corners=False)


def first_layer(generator: nn.Module) -> nn.Module:
    """Return the module whose input is the smallest grid.

    If the first synthesis layer is an nn.Sequential, this is its first module: conditional generators call the modules
    of a Sequential one by one.
    """
    first: Any = next(iter(require(generator, "synthesis_layers", "another size")))
    return first[0] if isinstance(first, nn.Sequential) else first


@torch.no_grad()
def grid_of(generator: Any) -> tuple[tuple[int, int], int]:
    """Return (rows, columns) of the first synthesis layer's input, and the side of one cell in output pixels."""
    inputs: list[Any] = []
    z = fixed_latents(1, generator.latent_dim).to(next(generator.parameters()).device)
    with first_layer(generator).register_forward_pre_hook(lambda module, given: inputs.append(given[0])):
        image = generator(z, torch.zeros(1, dtype=torch.long, device=z.device))
    if not inputs or inputs[0].ndim != 4:
        raise UserError(f"{network_name(generator)}: its first synthesis layer has no grid, which --size needs")
    rows, columns = inputs[0].shape[2:]
    return (rows, columns), image.shape[2] // rows
