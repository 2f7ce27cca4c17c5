"""Export a model to files for other programs, after comparing each file with PyTorch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch

from gan.export import formats
from gan.export.formats import Function
from gan.export.parts import BATCHES, Part, as_tuple, generator_parts, translator_part
from gan.export.provenance import model_hash
from gan.images.convert import to_uint8
from gan.model import Model
from gan.translation.tiling import translators
from gan.translation.translator import Translator
from gan.utils.errors import UserError, writing
from gan.utils.files import write_atomically
from gan.utils.option_values import pair

FORMAT_VERSION = 1
METADATA = "retro_gan"  # the name of the metadata in a file
MAX_DIFFERENCE = 1e-4  # of outputs; relative to the largest absolute value if that exceeds 1
MAX_LEVELS = 1  # of 255, after the conversion to uint8


class Format(NamedTuple):
    """A file format: how the bytes of a part are made, and how the function of the bytes is called."""

    suffix: str
    encode: Callable[[Part, Mapping[str, str]], bytes]
    open: Callable[[bytes, Part], Function]


FORMATS = {
    "onnx": Format(".onnx", formats.encode_onnx, formats.open_onnx),
    "pt2": Format(".pt2", formats.encode_pt2, formats.open_pt2),
    "safetensors": Format(".safetensors", formats.encode_safetensors, formats.open_safetensors),
}


class Difference(NamedTuple):
    """The largest differences over all outputs: as floats, and of images in levels of 255."""

    floats: float = 0.0
    levels: int = 0

    def __str__(self) -> str:
        return f"{self.floats:.1e}, {self.levels} of 255 levels"


class Exported(NamedTuple):
    """A file that was written, or is to be written, and its difference from PyTorch."""

    path: Path
    data: bytes
    part: Part
    difference: Difference


def export(
    model: Model | Translator,
    to: str,
    out: str | os.PathLike[str],
    force: bool = False,
) -> list[Exported]:
    """Write the files of a model, and return them. Nothing is written if one of them differs from PyTorch.

    Args:
        model: what `gan.load` returns.
        to: one of FORMATS.
        force: overwrite existing files.
    """
    parts = [part for part in parts_of(model) if to != "safetensors" or part.stores_weights]
    paths = [Path(out) / f"{part.name}{FORMATS[to].suffix}" for part in parts]
    if not force and (existing := [path for path in paths if path.exists()]):
        raise UserError(f"{existing[0]}: exists already; use --force to overwrite")
    files = [make(part, to, path, metadata(part, model)) for part, path in zip(parts, paths, strict=True)]
    with writing(out):
        for file in files:
            write_atomically(file.path, lambda stream, file=file: stream.write(file.data))  # type: ignore[misc]
    return files


def parts_of(model: Model | Translator) -> list[Part]:
    """Return the parts of a model: the networks of a generator, or the directions of a translator."""
    size = pair(model.config["data"]["size"])
    if not isinstance(model, Translator):
        return generator_parts(model.generator, size)
    networks = list(translators(model.network))
    names = ("a2b", "b2a") if len(networks) > 1 else ("translator",)
    channels = model.config["data"]["channels"]
    return [translator_part(name, network, channels, size) for name, network in zip(names, networks, strict=True)]


def make(part: Part, to: str, path: Path, about: Mapping[str, str]) -> Exported:
    """Return the file of a part; raise UserError if its function differs too much from the trained network."""
    data = FORMATS[to].encode(part, about)
    difference = compare(part, FORMATS[to].open(data, part))
    if not (difference.floats <= MAX_DIFFERENCE and difference.levels <= MAX_LEVELS):
        raise UserError(
            f"{path}: not written, because it differs from PyTorch by {difference}; at most {MAX_DIFFERENCE:g} and "
            f"{MAX_LEVELS} of 255 are allowed"
        )
    return Exported(path, data, part, difference)


@torch.no_grad()
def compare(part: Part, function: Function) -> Difference:
    """Return the largest difference between a function and the trained network, over all sizes and batches."""
    floats, levels = torch.zeros(()), 0
    for size in part.checked_sizes():
        for n in BATCHES:
            inputs = part.example(n, size)
            for output, expected in zip(function(*inputs), as_tuple(part.run(part.original, *inputs)), strict=True):
                scale = expected.abs().max().clamp(min=1)
                floats = torch.maximum(floats, (output - expected).abs().max() / scale)  # NaN stays NaN
                if part.gives_images:
                    levels = max(levels, int((to_uint8(output).int() - to_uint8(expected).int()).abs().max()))
    return Difference(float(floats), levels)


def metadata(part: Part, model: Model | Translator) -> dict[str, str]:
    """Return the metadata of a file, as one JSON object: never paths, names of users or versions of programs."""
    about: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "model": model_hash(model.network if isinstance(model, Translator) else model.generator),
        "kind": part.name if part.name not in ("a2b", "b2a") else "translator",
        "inputs": list(part.inputs),
        "outputs": list(part.outputs),
        "channels": model.config["data"]["channels"],
        "size": ["height", "width"] if part.free_size else list(part.size),
        "trained_size": list(pair(model.config["data"]["size"])),
    }
    if isinstance(model, Translator):
        about |= {"multiple": part.multiple, "direction": "b2a" if part.name == "b2a" else "a2b"}
    else:
        about |= {"latent_dim": model.generator.latent_dim, "classes": model.classes}
    if part.gives_images:
        about |= {"range": [-1, 1], "alpha": "premultiplied"}
    return {METADATA: json.dumps(about | part.about)}
