"""The parts of a model that are exported: networks of tensors alone, with named inputs and outputs.

Each is a copy of a trained network in which everything that other runtimes cannot repeat is computed beforehand:
spectral normalization, and the statistics of a batch of one image.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gan.data.builtin.retro import draw
from gan.inference.sampling import latents
from gan.inference.tiling import MIN_SIDE
from gan.networks.tile_position import TilePosition, noise_planes
from gan.recognition.features import POOLED_SIDE

MAX_BATCH = 2**16
MAX_SIDE = 2**16  # pixels
EXAMPLE_SIDES = (83, 112)  # height and width for tracing; the next multiples are used
CHECKED_SIDES = ((61, 96), (130, 75))  # sizes for the comparison; neither is that for tracing
BATCHES = (1, 3)  # batches for the comparison; tracing uses another one
EXAMPLE_BATCH = 2
NOISE = "standard normal; for the noise of gan translate see gan.networks.tile_position.noise_planes"


@dataclass(frozen=True)
class Part:
    """A network to export.

    Attributes:
        name: name of the file without its suffix.
        original: the trained network.
        run: maps a network such as `original`, and the inputs in their order, to one tensor or a tuple of tensors.
        network: the same function of the inputs, in the form that is exported.
        inputs: names of the inputs.
        outputs: names of the outputs.
        example: returns inputs for a number of images and (height, width). Sizes matter to translators only.
        stores_weights: whether the format safetensors has a file for this part; False if that of another has them all.
        free_size: whether height and width are free; they must be multiples of `multiple`.
        size: height and width of the images: all of them, or those of training if the size is free.
        gives_images: whether the output is an image, in [-1, 1].
        noise_margin: pixels by which the input "noise" is larger than the images at each side.
        about: further metadata.
        fixed_inputs: names of inputs whose height and width are fixed although those of the images are free.
    """

    name: str
    original: nn.Module
    run: Callable[..., Any]
    network: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    example: Callable[[int, tuple[int, int]], tuple[Tensor, ...]]
    size: tuple[int, int]
    stores_weights: bool = True
    free_size: bool = False
    multiple: int = 1
    gives_images: bool = True
    noise_margin: int = 0
    about: dict[str, Any] = field(default_factory=dict)
    fixed_inputs: tuple[str, ...] = ()

    def example_size(self) -> tuple[int, int]:
        """Return a size for tracing, whose sides differ."""
        if not self.free_size:
            return self.size
        height, width = (rounded_up(side, self.multiple) for side in EXAMPLE_SIDES)
        return height, width + self.multiple

    def checked_sizes(self) -> list[tuple[int, int]]:
        """Return the sizes for the comparison."""
        if not self.free_size:
            return [self.size]
        sizes = [(rounded_up(h, self.multiple), rounded_up(w, self.multiple)) for h, w in CHECKED_SIDES]
        return sizes if sizes[0] != sizes[1] else [sizes[0], (sizes[0][0] + self.multiple, sizes[0][1])]


def rounded_up(side: int, multiple: int) -> int:
    return -(-max(MIN_SIDE, side) // multiple) * multiple


def generator_parts(generator: Any, size: tuple[int, int]) -> list[Part]:
    """Return the parts of a generator: the whole, and its mapping and synthesis networks if it has these."""
    classes = getattr(generator, "classes", 0)
    given = ("z", "label") if classes else ("z",)

    def latents_of(n: int, _: tuple[int, int]) -> tuple[Tensor, ...]:
        z = latents(range(n), generator.latent_dim)
        return (z, torch.arange(n) % classes) if classes else (z,)

    def mapped(n: int, size: tuple[int, int]) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return (generator.mapping(*latents_of(n, size)),)

    def part(method: str, inputs: tuple[str, ...], output: str, example: Any, **options: Any) -> Part:
        def run(network: Any, *given: Tensor) -> Any:
            return getattr(network, method)(*given)

        name = "generator" if method == "forward" else method
        return Part(name, generator, run, Call(plain(generator), method), inputs, (output,), example, size, **options)

    parts = [part("forward", given, "image", latents_of)]
    if hasattr(generator, "mapping"):
        parts.append(part("mapping", given, "w", latents_of, stores_weights=False, gives_images=False))
        parts.append(part("synthesis", ("w",), "image", mapped, stores_weights=False))
    return parts


def translator_part(name: str, translator: Any, channels: int, size: tuple[int, int], fixed: bool) -> Part:
    """Return the part of a translator for one direction.

    Args:
        size: height and width of the training images; of all images with `fixed`.
    """
    numbers, margin = noise_of(translator)

    def images_of(n: int, sides: tuple[int, int]) -> tuple[Tensor, ...]:
        image = example_images(n, channels, sides)
        if not numbers:
            return (image,)
        noise = noise_planes(TilePosition(0, 0, *sides), *sides, numbers, margin)
        return image, noise.expand(n, -1, -1, -1).contiguous()

    def run(network: Any, images: Tensor, *_: Tensor) -> Tensor:
        return torch.cat([network(image[None]) for image in images])  # one at a time, as gan translate

    network = plain(translator)
    exported = TranslateWithNoise(network) if numbers else Call(network, "forward")
    inputs = ("image", "noise") if numbers else ("image",)
    about = {"noise": NOISE, "noise_numbers": [*numbers], "noise_margin": margin} if numbers else {}
    options: dict[str, Any] = {"free_size": not fixed, "multiple": translator.multiple, "about": about}
    options |= {"noise_margin": margin}
    return Part(name, translator, run, exported, inputs, ("translation",), images_of, size, **options)


def noise_of(translator: Any) -> tuple[range, int]:
    """Return the numbers of the planes of noise that images need, and the margin of the planes in pixels."""
    return getattr(translator, "noise_numbers", range(0)), getattr(translator, "noise_margin", 0)


def features_part(discriminator: Any, channels: int, size: tuple[int, int]) -> Part:
    """Return the part for recognition: the discriminator's layers, each max-pooled to a 4x4 grid."""

    def run(network: Any, images: Tensor) -> Any:
        return PooledFeatures(network)(images)

    def images_of(n: int, sides: tuple[int, int]) -> tuple[Tensor, ...]:
        return (example_images(n, channels, sides),)

    with torch.no_grad():
        outputs = tuple(f"layer{n}" for n, _ in enumerate(run(discriminator, *images_of(EXAMPLE_BATCH, size))))
    network = PooledFeatures(plain(discriminator), sliced=True)
    inputs = ("image",)
    return Part("features", discriminator, run, network, inputs, outputs, images_of, size, gives_images=False)


class Call(nn.Module):
    """Calls a method of a network with tensors by position."""

    def __init__(self, network: nn.Module, method: str) -> None:
        super().__init__()
        self.network = network
        self.method = method

    def forward(self, *inputs: Tensor) -> Any:
        return getattr(self.network, self.method)(*inputs)


class TranslateWithNoise(nn.Module):
    """A translator whose noise is an input."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, noise: Tensor) -> Tensor:
        y: Tensor = self.network(image, noise=noise)
        return y


class PooledFeatures(nn.Module):
    """Images (N, C, H, W) -> the layers of a discriminator, (N, channels, 4, 4) each, as `LayerFeatures` pools them.

    Args:
        sliced: pool with slices, because other runtimes have no adaptive pooling.
    """

    def __init__(self, network: nn.Module, sliced: bool = False) -> None:
        super().__init__()
        self.network = network
        self.pool = adaptive_max_pool if sliced else nn.AdaptiveMaxPool2d(POOLED_SIDE)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        layers: list[Tensor] = self.network.features(image)  # type: ignore[operator]
        return tuple(self.pool(layer).float() for layer in layers)


def adaptive_max_pool(x: Tensor) -> Tensor:
    """Return the same as `adaptive_max_pool2d(x, POOLED_SIDE)`."""
    for axis in (2, 3):
        side = x.shape[axis]
        windows = [
            (n * side // POOLED_SIDE, -(-(n + 1) * side // POOLED_SIDE)) for n in range(POOLED_SIDE)
        ]  # first and one past the last
        x = torch.cat([x.narrow(axis, a, b - a).amax(axis, keepdim=True) for a, b in windows], axis)
    return x


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


def as_tuple(output: Tensor | Sequence[Tensor]) -> tuple[Tensor, ...]:
    return (output,) if isinstance(output, Tensor) else tuple(output)
