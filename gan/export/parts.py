"""The parts of a model that are exported: networks of tensors alone, with named inputs and outputs.

Each is a copy of a trained network in which everything that other runtimes cannot repeat is computed beforehand:
spectral normalization, and the statistics of a batch of one image.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gan.data.builtin.retro import draw
from gan.models.sampling import latents
from gan.networks.tile_position import TilePosition, noise_planes
from gan.translation.tiling import MIN_SIDE

MAX_BATCH = 2**16
MAX_SIDE = 2**16  # pixels
EXAMPLE_SIDES = (83, 112)  # height and width for tracing; the next multiples are used
CHECKED_SIDES = ((61, 96), (130, 75))  # sizes for the comparison; neither is that for tracing
BATCHES = (1, 3)  # batches for the comparison; tracing uses another one
EXAMPLE_BATCH = 2
NOISE = "standard normal; for the noise of gan translate see gan.networks.tile_position.noise_planes"


@dataclass(frozen=True)
class Part:
    """A network to export. Sizes are (height, width)."""

    name: str  # of the file without its suffix
    original: nn.Module  # the trained network
    run: Callable[..., Tensor]  # maps a network such as `original`, and the inputs, to the output
    network: nn.Module  # the same function of the inputs, in the form that is exported
    inputs: tuple[str, ...]
    output: str
    example: Callable[[int, tuple[int, int]], tuple[Tensor, ...]]  # inputs for n images, for translators of a size
    size: tuple[int, int]  # of the training images
    free_size: bool = False  # whether height and width are free multiples of `multiple`
    multiple: int = 1
    gives_images: bool = True  # whether the output is an image, in [-1, 1]
    noise_margin: int = 0  # pixels by which the input "noise" is larger than the images at each side
    about: dict[str, Any] = field(default_factory=dict)  # further metadata
    fixed_inputs: tuple[str, ...] = ()  # inputs whose height and width are fixed although those of images are free

    def example_size(self) -> tuple[int, int]:
        if not self.free_size:
            return self.size
        height, width = (rounded_up(side, self.multiple) for side in EXAMPLE_SIDES)
        return height, width + self.multiple

    def checked_sizes(self) -> list[tuple[int, int]]:
        if not self.free_size:
            return [self.size]
        sizes = [(rounded_up(h, self.multiple), rounded_up(w, self.multiple)) for h, w in CHECKED_SIDES]
        return sizes if sizes[0] != sizes[1] else [sizes[0], (sizes[0][0] + self.multiple, sizes[0][1])]


def rounded_up(side: int, multiple: int) -> int:
    return -(-max(MIN_SIDE, side) // multiple) * multiple


def generator_parts(generator: Any, size: tuple[int, int]) -> list[Part]:
    """Return the parts of a generator: the whole, and its mapping and synthesis networks if it has these."""
    classes = generator.classes
    given = ("z", "label") if classes else ("z",)

    def latents_of(n: int, _: tuple[int, int]) -> tuple[Tensor, ...]:
        z = latents(range(n), generator.latent_dim)
        return (z, torch.arange(n) % classes) if classes else (z,)

    def mapped(n: int, size: tuple[int, int]) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return (generator.mapping(*latents_of(n, size)),)

    def part(method: str, inputs: tuple[str, ...], output: str, example: Any, **options: Any) -> Part:
        def run(network: nn.Module, *given: Tensor) -> Tensor:
            return getattr(network, method)(*given)

        name = "generator" if method == "forward" else method
        return Part(name, generator, run, Call(plain(generator), run), inputs, output, example, size, **options)

    parts = [part("forward", given, "image", latents_of)]
    if hasattr(generator, "mapping"):
        parts.append(part("mapping", given, "w", latents_of, gives_images=False))
        parts.append(part("synthesis", ("w",), "image", mapped))
    return parts


def translator_part(name: str, translator: Any, channels: int, size: tuple[int, int]) -> Part:
    """Return the part of a translator for one direction. `size` is that of the training images."""
    numbers, margin = translator.noise_numbers, translator.noise_margin

    def images_of(n: int, sides: tuple[int, int]) -> tuple[Tensor, ...]:
        image = example_images(n, channels, sides)
        if not numbers:
            return (image,)
        noise = noise_planes(TilePosition(0, 0, *sides), *sides, numbers, margin)
        return image, noise.expand(n, -1, -1, -1).contiguous()

    def run(network: nn.Module, images: Tensor, *_: Tensor) -> Tensor:
        return torch.cat([network(image[None]) for image in images])  # one at a time, as gan translate

    exported: nn.Module = plain(translator)
    inputs: tuple[str, ...] = ("image",)
    about: dict[str, Any] = {}
    if numbers:
        exported = Call(exported, lambda network, image, noise: network(image, noise=noise))
        inputs, about = ("image", "noise"), {"noise": NOISE, "noise_numbers": [*numbers], "noise_margin": margin}
    return Part(
        name, translator, run, exported, inputs, "translation", images_of, size, free_size=True,
        multiple=translator.multiple, noise_margin=margin, about=about,
    )  # fmt: skip


class Call(nn.Module):
    """Calls a function with a network and tensors."""

    def __init__(self, network: nn.Module, function: Callable[..., Any]) -> None:
        super().__init__()
        self.network, self.function = network, function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(self.network, *inputs)


def example_images(n: int, channels: int, size: tuple[int, int]) -> Tensor:
    """Return the first n built-in images in [-1, 1], (n, channels, height, width). They are the same everywhere."""
    side = min(256, max(16, *size))
    drawn = torch.stack([torch.from_numpy(draw(0, index, side, side).copy()) for index in range(n)])
    x = nn.functional.interpolate(drawn.permute(0, 3, 1, 2).float() / 127.5 - 1, size, mode="bilinear")
    if channels == 1:
        return x.mean(1, keepdim=True)
    if channels == 4:
        alpha = torch.linspace(0, 1, size[1]).expand(n, 1, *size)
        return torch.cat([(x + 1) * alpha - 1, 2 * alpha - 1], 1)  # premultiplied
    return x


class PerImageNorm(nn.Module):
    """BatchNorm with the statistics of one image, as for a batch of one: (N, C, H, W) -> the same."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.instance_norm(x, None, None, self.weight, self.bias, True, 0.0, self.eps)


def plain(network: nn.Module) -> Any:
    """Return a copy without parametrizations and without gradients, in eval mode."""
    network = copy.deepcopy(network).eval()
    for module in list(network.modules()):
        if parametrize.is_parametrized(module):
            remove_parametrizations(module)
        for name, child in list(module.named_children()):
            if isinstance(child, nn.BatchNorm2d) and child.running_mean is None:
                setattr(module, name, PerImageNorm(child))
    return network.requires_grad_(False)


def remove_parametrizations(module: Any) -> None:
    """Replace parametrized weights by their values. Torch's function would also change other copies of the module."""
    values = {name: getattr(module, name).detach().clone() for name in module.parametrizations}
    module.__class__ = parametrize.type_before_parametrizations(module)
    del module.parametrizations
    for name, value in values.items():
        module.register_parameter(name, nn.Parameter(value))
