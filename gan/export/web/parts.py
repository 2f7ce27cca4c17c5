"""The parts of a model that a page needs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gan.export.parts import Part, generator_parts, plain, translator_part
from gan.images.convert import to_float, to_uint8
from gan.model import Model
from gan.networks.tile_position import TilePosition
from gan.translation.tiling import thumbnail, translators
from gan.translation.translator import Translator
from gan.utils.option_values import pair


def page_parts(model: Model | Translator) -> list[Part]:
    """Return the mapping and synthesis networks of a generator, or else the whole; or the translator's directions."""
    size, channels = pair(model.config["data"]["size"]), model.config["data"]["channels"]
    if isinstance(model, Translator):
        networks = list(translators(model.network))
        names = ("a2b", "b2a") if len(networks) > 1 else ("translator",)
        return [page_translator(name, each, channels, size) for name, each in zip(names, networks, strict=True)]
    whole, *others = generator_parts(model.generator, size)
    return others or [whole]


def page_translator(name: str, translator: Any, channels: int, size: tuple[int, int]) -> Part:
    """Return the part of a translator. What depends on the whole image is an input, because a page pads images.

    This is the thumbnail, as `gan translate` computes it, or for a color map that depends on the position the height
    and width before padding.
    """
    usual = translator_part(name, translator, channels, size, fixed=False)
    start = getattr(translator, "start", None)
    wrapper: Any
    if hasattr(translator, "thumbnail_context"):
        wrapper, added = WithThumbnail, "thumbnail"
    elif start is not None and start.varies and translator.multiple > 1:
        wrapper, added = WithSides, "sides"
    else:
        return usual

    def images_of(n: int, sides: tuple[int, int]) -> tuple[Tensor, ...]:
        inputs = usual.example(n, sides)
        if wrapper is WithSides:
            return *inputs, torch.tensor(sides).float().expand(n, 2).contiguous()
        small = thumbnail(to_uint8(inputs[0]), translator.thumbnail_size)
        return *inputs, to_float(small).contiguous()

    def run(network: Any, *inputs: Tensor) -> Tensor:  # one at a time, as gan translate
        module = wrapper(network)
        return torch.cat([module(*(values[n, None] for values in inputs)) for n in range(len(inputs[0]))])

    fixed = ("thumbnail",) if wrapper is WithThumbnail else ()
    return replace(usual, run=run, network=wrapper(plain(translator)), inputs=(*usual.inputs, added), example=images_of,
                   fixed_inputs=fixed)  # fmt: skip


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


class WithThumbnail(nn.Module):
    """Calls a translator with the thumbnail of the image as an input."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network: Any = network

    def forward(self, image: Tensor, thumbnail: Tensor) -> Tensor:
        context = self.network.thumbnail_context(thumbnail)
        y: Tensor = self.network.forward_tile(image, TilePosition.whole(image), context)
        return y
