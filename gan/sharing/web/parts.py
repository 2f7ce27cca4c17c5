"""The parts of a model that a page needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gan.common.option_values import pair
from gan.images.convert import to_float, to_uint8
from gan.inference.tiling import thumbnail, translators
from gan.inference.translator import Translator
from gan.model import Model
from gan.networks.tile_position import TilePosition
from gan.sharing.export.parts import Part, generator_parts, plain, translator_part


def page_parts(model: Model | Translator) -> list[Part]:
    """Return the mapping and synthesis networks of a generator, or else the whole; or the translator's directions."""
    size, channels = pair(model.config["data"]["size"]), model.config["data"]["channels"]
    if isinstance(model, Translator):
        networks = list(translators(model.network))
        names = ("a2b", "b2a") if len(networks) > 1 else ("translator",)
        return [
            part_for(each)(name, each, channels, size, fixed=False) for name, each in zip(names, networks, strict=True)
        ]
    whole, *others = generator_parts(model.generator, size)
    return others or [whole]


def part_for(translator: Any) -> Callable[..., Part]:
    """Return the function that makes the part of a translator."""
    if hasattr(translator, "thumbnail_context"):
        return thumbnail_part
    start = getattr(translator, "start", None)
    return sides_part if start is not None and start.varies and translator.multiple > 1 else translator_part


def sides_part(name: str, translator: Any, channels: int, size: tuple[int, int], fixed: bool) -> Part:
    """Return the part of a translator whose color map depends on the position in an image, which a page pads.

    The height and width before padding are an input. Arguments as in `translator_part`.
    """
    usual = translator_part(name, translator, channels, size, fixed)

    def images_of(n: int, sides: tuple[int, int]) -> tuple[Tensor, ...]:
        return *usual.example(n, sides), torch.tensor(sides).float().expand(n, 2).contiguous()

    def run(network: Any, images: Tensor, *others: Tensor) -> Tensor:
        return torch.cat([WithSides(network)(image[None], *others[:-1], others[-1]) for image in images])

    exported = WithSides(plain(translator))
    return replace(usual, run=run, network=exported, inputs=(*usual.inputs, "sides"), example=images_of)


class WithSides(nn.Module):
    """Calls a translator with the sides of an image before padding, (N, 2), as the last input; all rows are equal."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, image: Tensor, *others: Tensor) -> Tensor:
        *noise, sides = others
        height, width = sides[0].unbind()
        y: Tensor = self.network.forward_tile(image, TilePosition(0, 0, height, width), *noise)  # type: ignore[arg-type]
        return y


def thumbnail_part(name: str, translator: Any, channels: int, size: tuple[int, int], fixed: bool) -> Part:
    """Return the part of a translator whose thumbnail of the image is an input, as `gan translate` computes it.

    Arguments as in `translator_part`.
    """
    usual = translator_part(name, translator, channels, size, fixed)

    def images_of(n: int, sides: tuple[int, int]) -> tuple[Tensor, ...]:
        (image,) = usual.example(n, sides)
        return image, to_float(thumbnail(to_uint8(image), translator.thumbnail_size)).contiguous()

    def run(network: Any, images: Tensor, thumbnails: Tensor) -> Tensor:
        module = WithThumbnail(network)
        return torch.cat([module(images[n, None], thumbnails[n, None]) for n in range(len(images))])

    exported, inputs = WithThumbnail(plain(translator)), ("image", "thumbnail")
    return replace(usual, run=run, network=exported, inputs=inputs, example=images_of, fixed_inputs=("thumbnail",))


class WithThumbnail(nn.Module):
    """Calls a translator with the thumbnail of the image as an input."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, image: Tensor, thumbnail: Tensor) -> Tensor:
        context = self.network.thumbnail_context(thumbnail)
        y: Tensor = self.network.forward_tile(image, TilePosition.whole(image), context)
        return y
