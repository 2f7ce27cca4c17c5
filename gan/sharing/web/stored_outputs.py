"""Outputs that a page compares with its own before it uses a model: those of its files, computed by ONNX Runtime.

They are first compared with the images of `gan generate` and `gan translate`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from zlib import crc32

import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.images.convert import to_float, to_pil_image, to_uint8
from gan.inference.tiling import pad, thumbnail, translate
from gan.inference.translator import Translator, planes_of
from gan.model import Model
from gan.networks.tile_position import TilePosition, noise_planes
from gan.sharing.export.parity import HALF_LEVELS, MAX_LEVELS
from gan.sharing.export.parts import Part, example_images, noise_of

SEEDS = [0, 1]
SIDES = 45, 70  # height and width of the image that translators get, no multiples

Functions = dict[str, Callable[..., tuple[Tensor, ...]]]


def of_generator(model: Model, functions: Functions, half: bool) -> dict[str, Any]:
    """Return the seeds and the images (C, H, W) of each.

    Args:
        functions: of each file, as `gan.sharing.export.onnx_file.open_file` returns them.
        half: whether the files have weights in fp16.

    Raises:
        UserError: the images differ from those of `gan generate`.
    """
    z, labels = model.sample_z(SEEDS)
    given = (z,) if labels is None else (z, labels)
    if "mapping" in functions:
        (images,) = functions["synthesis"](*functions["mapping"](*given))
    else:
        (images,) = functions["generator"](*given)
    found = to_uint8(images)
    compare(found, model.generate(SEEDS).pixels, half, "gan generate")
    return {"seeds": SEEDS, "outputs": [encoded(image) for image in found]}


def of_translator(model: Translator, parts: list[Part], functions: Functions, half: bool) -> dict[str, Any]:
    """Return an image, straight RGBA, and its translation (C, H, W) by each part. Arguments as in `of_generator`.

    Raises:
        UserError: the translations differ from those of `gan translate`.
    """
    channels = model.config["data"]["channels"]
    image = to_pil_image(to_uint8(example_images(1, channels, SIDES))[0]).convert("RGBA")
    planes, outputs = planes_of(image, channels), {}
    for part in parts:
        (y,) = functions[part.name](*inputs_of(part, planes))
        found = to_uint8(y)[0, :, : SIDES[0], : SIDES[1]]
        compare(found, translate(part.original, planes), half, "gan translate")
        outputs[part.name] = encoded(found)
    about = {"width": image.width, "height": image.height, "pixels": base64.b64encode(image.tobytes()).decode()}
    return {"image": about, "outputs": outputs}


def inputs_of(part: Part, planes: Tensor) -> list[Tensor]:
    """Return the inputs that a page gives to a part, for an image uint8 (C, H, W)."""
    network: Any = part.original
    x = to_float(pad(planes, part.multiple)[None]).contiguous()
    inputs = {"image": x}
    if "noise" in part.inputs:
        height, width = x.shape[2:]
        place = TilePosition(0, 0, height, width, crc32(planes.contiguous().numpy().tobytes()))
        inputs["noise"] = noise_planes(place, height, width, *noise_of(network))
    if "thumbnail" in part.inputs:
        inputs["thumbnail"] = to_float(thumbnail(planes[None], network.thumbnail_size)).contiguous()
    if "sides" in part.inputs:
        inputs["sides"] = torch.tensor([planes.shape[1:]]).float()
    return [inputs[name] for name in part.inputs]


def compare(found: Tensor, expected: Tensor, half: bool, command: str) -> None:
    """Raise UserError if images uint8 differ too much."""
    levels = int((found.int() - expected.int()).abs().max())
    if levels > (HALF_LEVELS if half else MAX_LEVELS):
        raise UserError(
            f"--to web: the images of a page would differ from those of {command} by {levels} of 255 levels; "
            f"{'leave out --fp16, or ' * half}use --to safetensors if the network generates random noise itself"
        )


def encoded(values: Tensor) -> str:
    """Return the bytes of a tensor as base64."""
    return base64.b64encode(values.contiguous().numpy().tobytes()).decode()
