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
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan.data.decoding import cache
from gan.editing.directions import NUM_MEASURED, effects
from gan.editing.space import Space
from gan.export.export import Exported, make, metadata, parts_of
from gan.export.parts import Call, Part, plain
from gan.images.convert import to_float, to_uint8
from gan.model import Model
from gan.networks.tile_position import TilePosition
from gan.translation.tiling import thumbnail
from gan.translation.translator import Translator
from gan.utils.errors import UserError, reason, writing
from gan.utils.files import write_bytes

MODEL = "model.json"
MAX_BYTES = 1_500_000_000  # memory of a page for a translation; WebAssembly has 4 GB
NUM_DIRECTIONS = 4  # of GANSpace

# onnxruntime-web, the library that runs ONNX models in a browser (MIT license, Microsoft), from the npm registry.
FILE = "onnxruntime-web-1.30.0.tgz"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/{FILE}"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="  # npm's "integrity"
SIZE = 33_106_585  # bytes
MEMBERS = {"runtime.mjs": "ort.wasm.bundle.min.mjs", "runtime.wasm": "ort-wasm-simd-threaded.wasm"}


def write_page(model: Model | Translator, out: Path, package: bytes) -> list[Exported]:
    """Write a page into a folder, and return the files of its networks. Nothing is written if one differs from PyTorch.

    Args:
        model: what `gan.load` returns.
        package: what `find` returns.

    Raises:
        UserError: a network cannot be exported or differs from PyTorch, or a file cannot be written.
    """
    parts = page_parts(model)
    contents = {each.name: each.read_bytes() for each in files(__package__).joinpath("page").iterdir()}
    contents |= members(package)
    models = [make(part, "onnx", out / f"{part.name}.onnx", metadata(part, model)) for part in parts]
    contents |= {each.path.name: each.data for each in models}
    contents[MODEL] = describe_parts(model, parts)
    with writing(out):
        for name, data in contents.items():
            write_bytes(out / name, data)
    return models


def describe_parts(model: Model | Translator, parts: list[Part]) -> bytes:
    """Return model.json: what a page needs to know about its model."""
    about: dict[str, Any] = {
        "title": "Translated photographs" if isinstance(model, Translator) else "Generated images",
        "files": {part.name: f"{part.name}.onnx" for part in parts},
        "channels": model.config["data"]["channels"],
    }
    if isinstance(model, Translator):
        network: Any = parts[0].original
        about |= {
            "kind": "translator",
            "multiple": network.multiple,
            "max_pixels": MAX_BYTES // network.bytes_per_pixel,
            "noise": {"numbers": [*network.noise_numbers], "margin": network.noise_margin},
            "thumbnail_size": getattr(network, "thumbnail_size", None),
        }
    else:
        space, vectors = Space(model.generator), directions_of(model)
        labels = model.labels_of(list(range(NUM_MEASURED)))
        about |= {
            "kind": "generator",
            "latent_dim": model.generator.latent_dim,
            "classes": model.classes,
            "class_edges": class_edges(model.class_counts),
            "means": [encoded(mean) for mean in space.statistics[0]] if space.name == "w" else [],  # for truncation
            "vectors": {name: encoded(vector) for name, vector in vectors.items()},
            "effects": effects(space, vectors, labels),
        }
    return json.dumps(about, indent=1).encode() + b"\n"


def class_edges(counts: Tensor) -> list[float]:
    """Return the cumulative numbers of images of the classes, see `gan.models.sampling.classes_of`."""
    weights = counts.cpu().double().numpy()
    return np.cumsum(weights if weights.any() else np.ones_like(weights)).tolist()


def directions_of(model: Model) -> dict[str, Tensor]:
    """Return the first directions of GANSpace; none if the generator lacks what they need."""
    try:
        return model.directions(sefa=0, pca=NUM_DIRECTIONS)
    except UserError:
        return {}


def encoded(values: Tensor) -> str:
    """Return the bytes of a tensor as base64."""
    return base64.b64encode(values.contiguous().numpy().tobytes()).decode()


# ---- the parts of a model that a page needs


def page_parts(model: Model | Translator) -> list[Part]:
    """Return the mapping and synthesis networks of a generator, or else the whole; or the translator's directions."""
    if isinstance(model, Translator):
        return [for_page(part) for part in parts_of(model)]
    whole, *others = parts_of(model)
    return others or [whole]


def for_page(usual: Part) -> Part:
    """Return the part of a translator. What depends on the whole image is an input, because a page pads images.

    This is the thumbnail, as `gan translate` computes it, or for a color map that depends on the position the height
    and width before padding.
    """
    translator: Any = usual.original
    function: Callable[..., Tensor]
    if hasattr(translator, "thumbnail_context"):
        function, added = with_thumbnail, "thumbnail"
    elif translator.start is not None and translator.start.varies and translator.multiple > 1:
        function, added = with_sides, "sides"
    else:
        return usual

    def images_of(n: int, sides: tuple[int, int]) -> tuple[Tensor, ...]:
        inputs = usual.example(n, sides)
        if added == "sides":
            return *inputs, torch.tensor(sides).float().expand(n, 2).contiguous()
        small = thumbnail(to_uint8(inputs[0]), translator.thumbnail_size)
        return *inputs, to_float(small).contiguous()

    def run(network: Any, *inputs: Tensor) -> Tensor:  # one at a time, as gan translate
        return torch.cat([function(network, *(values[n, None] for values in inputs)) for n in range(len(inputs[0]))])

    return replace(usual, run=run, network=Call(plain(translator), function), inputs=(*usual.inputs, added),
                   example=images_of, fixed_inputs=("thumbnail",))  # fmt: skip


def with_sides(network: Any, image: Tensor, *others: Tensor) -> Tensor:
    """Call a translator with the sides of an image before padding, (N, 2), as the last input; all rows are equal."""
    *noise, sides = others
    height, width = sides[0].unbind()
    return network.forward_tile(image, TilePosition(0, 0, height, width), *noise)  # type: ignore[arg-type]


def with_thumbnail(network: Any, image: Tensor, thumbnail: Tensor) -> Tensor:
    """Call a translator with the thumbnail of the image as an input."""
    return network.forward_tile(image, TilePosition.whole(image), network.thumbnail_context(thumbnail))


# ---- the runtime


def find() -> bytes:
    """Return the package, after verifying it. It is downloaded into the cache if it is missing there.

    Raises:
        UserError: it cannot be read or downloaded, or is another one.
    """
    path = cache.folder() / "web" / FILE
    missing = not path.is_file()
    source = URL if missing else path
    if missing:
        print(f"downloading {URL} ({SIZE / 1e6:.0f} MB) into {path.parent}", flush=True)
    try:
        with urllib.request.urlopen(URL, timeout=30) if missing else open(path, "rb") as file:
            data: bytes = file.read(SIZE + 1)
    except OSError as error:  # of the network or of the disk
        why = getattr(error, "reason", None) or reason(error)
        raise UserError(f"{source}: cannot be read ({why}); save {URL} as {path}") from error
    if len(data) != SIZE or base64.b64encode(hashlib.sha512(data).digest()).decode() != SHA512:
        raise UserError(f"{source}: is not {FILE}; save {URL} as {path}")
    if missing:
        with writing(path):
            write_bytes(path, data)
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
