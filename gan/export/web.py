"""Write a folder with a page that runs a model in a browser. It needs a server for files, and no network."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn

from gan.data.decoding import cache
from gan.editing.space import Space
from gan.export import formats
from gan.export.export import HALF_LEVELS, MAX_LEVELS, Exported, make, metadata
from gan.export.parts import Part, example_images, generator_parts, noise_of, plain, translator_part
from gan.images.convert import to_float, to_pil_image, to_uint8
from gan.model import Model
from gan.networks.tile_position import TilePosition, noise_planes
from gan.translation.tiling import pad, thumbnail, translate, translators
from gan.translation.translator import Translator, planes_of
from gan.utils.errors import UserError, reason, writing
from gan.utils.files import write_atomically
from gan.utils.option_values import pair

MODEL = "model.json"
MAX_BYTES = 1_500_000_000  # memory of a page for a translation; WebAssembly has 4 GB
NUM_DIRECTIONS = 4  # of GANSpace, unless others are given
SEEDS = [0, 1]  # whose images a page compares with its own
SIDES = 45, 70  # height and width of the image that translators get for the comparison, no multiples

Functions = dict[str, Callable[..., tuple[Tensor, ...]]]  # what ONNX Runtime computes for each part, by its name

# onnxruntime-web, the library that runs ONNX models in a browser (MIT license, Microsoft), from the npm registry.
FILE = "onnxruntime-web-1.30.0.tgz"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/{FILE}"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="  # npm's "integrity"
SIZE = 33_106_585  # bytes
MEMBERS = {"runtime.mjs": "ort.wasm.bundle.min.mjs", "runtime.wasm": "ort-wasm-simd-threaded.wasm"}


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
        package: what `find` returns.
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


# ---- the parts of a model that a page needs


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


# ---- the runtime


def find(given: Path | None = None) -> bytes:
    """Return the package, after verifying it.

    Args:
        given: its file; None for the file in the cache, which is downloaded if it is missing.

    Raises:
        UserError: the file cannot be read or downloaded, or is another one.
    """
    path = given or cache.folder() / "web" / FILE
    advice = f"give {FILE} from {URL} with --runtime"
    try:
        if given is None and not path.is_file():
            print(f"downloading {URL} ({SIZE / 1e6:.0f} MB) into {path.parent}", flush=True)
            with urllib.request.urlopen(URL, timeout=30) as answer:
                data = verified(answer.read(SIZE + 1), URL, advice)
            write_atomically(path, lambda file: file.write(data))
            return data
        with open(path, "rb") as opened:
            return verified(opened.read(SIZE + 1), path, advice if given else "remove the file")
    except OSError as error:  # of the network or of the disk
        why = getattr(error, "reason", None) or reason(error)
        raise UserError(f"{given or URL}: cannot be read ({why}); {advice}") from error


def verified(data: bytes, source: Path | str, advice: str) -> bytes:
    if len(data) != SIZE or base64.b64encode(hashlib.sha512(data).digest()).decode() != SHA512:
        raise UserError(f"{source}: is not {FILE}; {advice}")
    return data


def members(package: bytes) -> dict[str, bytes]:
    """Return the files that a page needs, by name."""
    files = {}
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        for name, member in MEMBERS.items():
            file = archive.extractfile(f"package/dist/{member}")
            assert file is not None
            files[name] = file.read()
    return files
