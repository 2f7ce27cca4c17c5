"""Write a folder with a page that runs a model in a browser. It needs a server for files, and no network."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from gan.editing.space import Space
from gan.export import formats
from gan.export.export import HALF_LEVELS, MAX_LEVELS, Exported, make, metadata
from gan.export.parts import Part, example_images, noise_of
from gan.export.web.parts import page_parts
from gan.export.web.runtime import members
from gan.images.convert import to_float, to_pil_image, to_uint8
from gan.model import Model
from gan.networks.tile_position import TilePosition, noise_planes
from gan.translation.tiling import pad, thumbnail, translate
from gan.translation.translator import Translator, planes_of
from gan.utils.errors import UserError, writing
from gan.utils.files import write_atomically

MODEL = "model.json"
MAX_BYTES = 1_500_000_000  # memory of a page for a translation; WebAssembly has 4 GB
NUM_DIRECTIONS = 4  # of GANSpace, unless others are given
SEEDS = [0, 1]  # whose images a page compares with its own
SIDES = 45, 70  # height and width of the image that translators get for the comparison, no multiples

Functions = dict[str, Callable[..., tuple[Tensor, ...]]]  # what ONNX Runtime computes for each part, by its name


class Page(NamedTuple):
    """The files of models of a page, and the size of all its files in bytes."""

    models: list[Exported]
    size: int


def write_page(
    model: Model | Translator,
    out: Path,
    package: bytes,
    half: bool = False,
    title: str | None = None,
    directions: dict[str, Tensor] | None = None,
    force: bool = False,
) -> Page:
    """Write a page into a folder. Nothing is written if its images differ from those of PyTorch.

    Args:
        model: what `gan.load` returns.
        package: what `gan.export.web.runtime.find` returns.
        half: store weights in fp16.
        title: of the page.
        directions: (latent_dim,) by name, for sliders of a generator; None for those of GANSpace.
        force: overwrite existing files.

    Raises:
        UserError: a network cannot be exported or differs from PyTorch, or a file exists already or cannot be
            written.
    """
    parts = page_parts(model)
    contents = {each.name: each.read_bytes() for each in files(__package__).joinpath("page").iterdir()}
    contents |= members(package)
    names = [*contents, *(f"{part.name}.onnx" for part in parts), MODEL]
    if not force and (existing := [out / name for name in names if (out / name).exists()]):
        raise UserError(f"{existing[0]}: exists already; use --force to overwrite")
    models = [make(part, "onnx", half, out / f"{part.name}.onnx", metadata(part, model)) for part in parts]
    functions = {each.part.name: formats.open_onnx(each.data, each.part) for each in models}
    contents |= {each.path.name: each.data for each in models}
    contents[MODEL] = describe(model, parts, functions, half, title, directions)
    with writing(out):
        for name, data in contents.items():
            write_atomically(out / name, lambda file, data=data: file.write(data))  # type: ignore[misc]
    return Page(models, sum(map(len, contents.values())))


def describe(
    model: Model | Translator,
    parts: list[Part],
    functions: Functions,
    half: bool,
    title: str | None,
    directions: dict[str, Tensor] | None,
) -> bytes:
    """Return model.json: what a page needs to know about its model, and outputs to compare with its own.

    Raises:
        UserError: the images of the page would differ from those of this program.
    """
    about: dict[str, Any] = {
        "title": title or ("Translated photographs" if isinstance(model, Translator) else "Generated images"),
        "files": {part.name: f"{part.name}.onnx" for part in parts},
        "channels": model.config["data"]["channels"],
    }
    if isinstance(model, Translator):
        network: Any = parts[0].original
        numbers, margin = noise_of(network)
        about |= {
            "kind": "translator",
            "multiple": network.multiple,
            "max_pixels": MAX_BYTES // network.bytes_per_pixel,
            "noise": {"numbers": [*numbers], "margin": margin},
            "thumbnail_size": getattr(network, "thumbnail_size", None),
            "check": outputs_of_translator(model, parts, functions, half),
        }
    else:
        space = Space(model.generator)
        directions = directions or default_directions(model)
        about |= {
            "kind": "generator",
            "latent_dim": model.generator.latent_dim,
            "classes": model.classes,
            "class_edges": class_edges(model.class_counts),
            "means": [encoded(mean) for mean in space.statistics[0]] if space.name == "w" else [],  # for truncation
            "vectors": {name: encoded(vector) for name, vector in directions.items()},
            "check": outputs_of_generator(model, functions, half),
        }
    return json.dumps(about, indent=1).encode() + b"\n"


def class_edges(counts: Tensor) -> list[float]:
    """Return the cumulative numbers of images of the classes, see `gan.models.sampling.classes_of`."""
    weights = counts.cpu().double().numpy()
    return np.cumsum(weights if weights.any() else np.ones_like(weights)).tolist()


def default_directions(model: Model) -> dict[str, Tensor]:
    """Return the first directions of GANSpace; none if the generator lacks what they need."""
    try:
        return model.directions(sefa=0, pca=NUM_DIRECTIONS)
    except UserError:
        return {}


def outputs_of_generator(model: Model, functions: Functions, half: bool) -> dict[str, Any]:
    """Return the seeds and the images (C, H, W) of each; raise UserError if they differ from `gan generate`."""
    z, labels = model.sample_z(SEEDS)
    inputs = (z,) if labels is None else (z, labels)
    if "mapping" in functions:
        (images,) = functions["synthesis"](*functions["mapping"](*inputs))
    else:
        (images,) = functions["generator"](*inputs)
    pixels = to_uint8(images)
    compare(pixels, model.generate(SEEDS).pixels, half, "gan generate")
    return {"seeds": SEEDS, "outputs": [encoded(image) for image in pixels]}


def outputs_of_translator(model: Translator, parts: list[Part], functions: Functions, half: bool) -> dict[str, Any]:
    """Return an image, straight RGBA, and its translation (C, H, W) by each part.

    Raises:
        UserError: the translations differ from those of `gan translate`.
    """
    channels = model.config["data"]["channels"]
    image = to_pil_image(to_uint8(example_images(1, channels, SIDES))[0]).convert("RGBA")
    planes, outputs = planes_of(image, channels), {}
    for part in parts:
        (y,) = functions[part.name](*inputs_of(part, planes))
        pixels = to_uint8(y)[0, :, : SIDES[0], : SIDES[1]]
        compare(pixels, translate(part.original, planes), half, "gan translate")
        outputs[part.name] = encoded(pixels)
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


def compare(pixels: Tensor, expected: Tensor, half: bool, command: str) -> None:
    """Raise UserError if images uint8 differ too much."""
    levels = int((pixels.int() - expected.int()).abs().max())
    if levels > (HALF_LEVELS if half else MAX_LEVELS):
        raise UserError(
            f"--to web: the images of a page would differ from those of {command} by {levels} of 255 levels; "
            f"{'leave out --fp16, or ' * half}use --to safetensors if the network generates random noise itself"
        )


def encoded(values: Tensor) -> str:
    """Return the bytes of a tensor as base64."""
    return base64.b64encode(values.contiguous().numpy().tobytes()).decode()
