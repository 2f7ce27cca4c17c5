"""A trained translator: what `gan.load("runs/film")` returns for a run of two folders or of pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan import contracts, kinds, settings
from gan.data.decoding.reader import unpremultiply
from gan.images.collection import Given, is_single, to_pil_images
from gan.images.convert import to_pil_image
from gan.models.loading import move, select_direction
from gan.translation.image_translator import BYTES_PER_PIXEL, ImageFunction, ImageTranslator, parse_look
from gan.translation.tiling import is_tiled, tile_for_memory, translate
from gan.utils.errors import UserError, choice
from gan.utils.option_values import pair
from gan.utils.seamless import AXES


class NetworkFunction(ImageFunction):
    """Translates with a network. Its random parts depend on the pixels alone.

    Args:
        network: a translator of one direction, in eval mode.
        channels: number of channels of the network.
        tile: side of the tiles of large images, in pixels; None does not split them.
    """

    takes_alpha = True

    def __init__(self, network: Any, channels: int, tile: int | None) -> None:
        contracts.check(network, contracts.Translator, "network")
        self.network = network
        self.channels = channels
        self.tile = tile
        self.enlargement = network.enlargement
        self.bytes_per_pixel = BYTES_PER_PIXEL * self.enlargement**2

    def __call__(self, pixels: np.ndarray, number: int) -> np.ndarray:
        result = translate(self.network, planes_of(Image.fromarray(pixels), self.channels), self.tile)
        if self.channels == 4:
            result = torch.from_numpy(unpremultiply(result.numpy())[:3])
        return result.expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()

    def tile_side(self, height: int, width: int) -> int | None:
        height, width = (side * self.enlargement for side in (height, width))
        return self.tile if is_tiled(self.network, height, width, self.tile) else None


def network_function(network: Any, config: Mapping[str, Any], tile: int | None = None) -> NetworkFunction:
    """Return the function of a translator of one direction, by default with the largest tiles that memory allows."""
    return NetworkFunction(network, config["data"]["channels"], tile or tile_for_memory(network))


def planes_of(image: Image.Image, channels: int) -> Tensor:
    """Return an RGB or RGBA image as uint8 (channels, H, W) for a network: gray, RGB, or premultiplied RGBA."""
    mode = {1: "L", 3: "RGB", 4: "RGBa"}[channels]  # RGBa is premultiplied
    given = image.convert("RGBA" if mode == "RGBa" else "RGB").convert(mode)
    if image.mode == "RGBA" and mode != "RGBa":  # hide the colors of transparent pixels from the network
        given.paste("white", (0, 0), image.getchannel("A").point(lambda alpha: 255 * (alpha == 0)))
    pixels = np.array(given).reshape(image.height, image.width, -1)
    return torch.from_numpy(pixels).permute(2, 0, 1)


class Translator:
    """A trained translator: `gan.load("runs/film").translate("photo.jpg")`.

    Attributes:
        network: the EMA translator in eval mode, on the CPU unless `to` moves it; for model=cyclegan, both directions.
        images: number of images seen in training.
        config: configuration of the run.
    """

    def __init__(self, network: Any, images: int, config: dict[str, Any]) -> None:
        self.network = network
        self.images = images
        self.config = config

    def to(self, device: str) -> Translator:
        """Move the network to a device, such as "cuda", and return the translator.

        Raises:
            UserError: torch has no such device here.
        """
        move(self.network, device)
        return self

    def __repr__(self) -> str:
        network, *others = kinds.directions(self.network)
        name = type(network).__module__.rpartition(".")[2]
        height, width = pair(self.config["data"]["size"])
        both = ", both directions" if others else ""
        return f"<gan.Translator {name}: trained at {width}x{height} pixels{both}, {self.images:,} images seen>"

    def translate(
        self,
        images: Given,
        direction: str = "a2b",
        strength: float = 1.0,
        tile: int | None = None,
        seamless: str | None = None,
    ) -> Image.Image | list[Image.Image]:
        """Return the translation of an image, or a list for several images: Pillow images of the same sizes.

        Alpha, which is straight, is kept.

        Args:
            images: a path, Pillow image, array or tensor, or several, see `gan.images.collection.to_pil_images`.
            direction: "a2b", or "b2a" for a translator with both directions.
            strength: 0 is the input, 1 the translation, 2 twice the change.
            tile: side of the tiles of large images in pixels; the default is as large as memory allows.
            seamless: "x", "y" or "both" for images whose borders fit together along these axes: textures.

        Raises:
            UserError: an image cannot be read or does not fit into memory, or an argument is out of range.
        """
        settings.DIRECTION.check(direction)
        settings.STRENGTH.check(strength)
        settings.TILE.check(tile)
        check_seamless(seamless)
        network = select_direction("this model", self.network, direction)
        function = network_function(network, self.config, tile)
        try:
            return translate_given(ImageTranslator(function, strength, seamless=seamless), images)
        except MemoryError as error:
            raise UserError("an image does not fit into memory; give a smaller tile") from error

    __call__ = translate

    def of_pixels(self, images: Tensor, seamless: str | None = None) -> list[Tensor]:
        """Return the translations of images of a generator, uint8 (N, C, H, W); RGBA is premultiplied."""
        channels = images.shape[1]
        translate = ImageTranslator(network_function(self.network, self.config), seamless=seamless)
        given = (to_pil_image(image).convert("RGBA" if channels == 4 else "RGB") for image in images)
        return [planes_of(translate(image), channels) for image in given]


def translate_by_look(
    look: str, images: Given, *, strength: float = 1.0, seed: int = 0, seamless: str | None = None, **parameters: float
) -> Image.Image | list[Image.Image]:
    """Return an image in a look, or a list for several images: Pillow images of the same sizes. Alpha is kept.

    Args:
        look: look:NAME, see `gan.translation.image_translator.parse_look`.
        images: as in `Translator.translate`.
        strength: 0 is the input, 1 the look, 2 twice the change.
        seed: selects the grain and noise, together with the pixels of each image.
        seamless: as in `Translator.translate`.
        parameters: those of the look, as in `vignette=0.3`.

    Raises:
        UserError: the look or a parameter is unknown, a value is out of its range, or an image cannot be read.
    """
    settings.STRENGTH.check(strength)
    settings.SEED.check(seed)
    check_seamless(seamless)
    translator = ImageTranslator(parse_look(look, parameters), strength, seed=seed, seamless=seamless)
    return translate_given(translator, images)


def check_seamless(axes: str | None) -> None:
    if axes is not None:
        choice("seamless", axes, AXES)


def translate_given(translator: ImageTranslator, images: Given) -> Image.Image | list[Image.Image]:
    """Return the translation of an image, or a list for several images, see `gan.images.collection.to_pil_images`."""
    found = [translator(image) for image in to_pil_images(images)]
    return found[0] if is_single(images) else found
