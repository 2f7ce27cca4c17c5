"""Export a model to files for other programs, after comparing each file with PyTorch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gan.common.errors import UserError, writing
from gan.common.files import write_atomically
from gan.common.option_values import pair
from gan.inference.loading import load_discriminator
from gan.inference.tiling import translators
from gan.inference.translator import Translator
from gan.model import Model
from gan.recognition import classifier
from gan.run.run_folder import RECOGNITION
from gan.sharing.export import onnx_file, parity, pt2_file, safetensors_file
from gan.sharing.export.half import HalfWeights
from gan.sharing.export.parity import Difference
from gan.sharing.export.parts import Part, features_part, generator_parts, translator_part
from gan.sharing.export.trace import trace
from gan.sharing.provenance import model_hash

FORMAT_VERSION = 1
SUFFIXES = {"onnx": ".onnx", "pt2": ".pt2", "safetensors": ".safetensors"}
METADATA = "retro_gan"  # the name of the metadata in a file


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
    half: bool = False,
    size: tuple[int, int] | None = None,
    discriminator: Any = None,
    force: bool = False,
) -> list[Exported]:
    """Write the files of a model, and return them. Nothing is written if one of them differs from PyTorch.

    Args:
        model: what `gan.load` returns.
        to: "onnx", "pt2" or "safetensors".
        half: store weights in fp16.
        size: height and width that a translator shall be restricted to; None leaves them free.
        discriminator: network for the features, see `discriminator_of`; None exports no features.
        force: overwrite existing files.

    Raises:
        UserError: the extra is not installed, a network cannot be exported, a file differs from PyTorch or exists
            already, or the folder cannot be written.
    """
    if to == "onnx":
        onnx_file.check_installed()
    parts = [part for part in parts_of(model, size, discriminator) if to != "safetensors" or part.stores_weights]
    paths = [Path(out) / f"{part.name}{SUFFIXES[to]}" for part in parts]
    if not force and (existing := [path for path in paths if path.exists()]):
        raise UserError(f"{existing[0]}: exists already; use --force to overwrite")
    files = []
    for part, path in zip(parts, paths, strict=True):
        try:
            files.append(make(part, to, half, path, metadata(part, model)))
        except UserError as error:
            instead = "; --no-features exports the other parts" if part.name == "features" else ""
            raise UserError(f"{error}{instead}") from error
    with writing(out):
        for file in files:
            write_atomically(file.path, lambda stream, file=file: stream.write(file.data))  # type: ignore[misc]
    return files


def parts_of(model: Model | Translator, size: tuple[int, int] | None, discriminator: Any) -> Iterator[Part]:
    """Yield the parts of a model. Arguments as in `export`."""
    channels, trained = model.config["data"]["channels"], pair(model.config["data"]["size"])
    if isinstance(model, Translator):
        networks = list(translators(model.network))
        for name, network in zip(("a2b", "b2a") if len(networks) > 1 else ("translator",), networks, strict=True):
            check_size(size, network.multiple)
            yield translator_part(name, network, channels, size or trained, fixed=size is not None)
        return
    if size is not None and size != trained:
        raise UserError(f"--size {size[0]}x{size[1]}: this generator generates {trained[0]}x{trained[1]} pixels; only "
                        "translators have other sizes")  # fmt: skip
    yield from generator_parts(model.generator, trained)
    if discriminator is not None:
        yield features_part(discriminator, channels, trained)


def check_size(size: tuple[int, int] | None, multiple: int) -> None:
    """Raise UserError if a translator cannot translate images of a size."""
    if size is None:
        return
    for side in size:
        if side < 16 or side % multiple:
            near = max(-(-16 // multiple), round(side / multiple)) * multiple
            raise UserError(
                f"--size {size[0]}x{size[1]}: sides of this translator are multiples of {multiple}, at least 16 "
                f"pixels, such as {near}"
            )


def discriminator_of(run: str | os.PathLike[str], checkpoint: str) -> Any:
    """Return the discriminator of a run, with the statistics of the run's classifier if `gan recognize` fitted one.

    Raises:
        UserError: the run has no discriminator with features, or its classifier belongs to another checkpoint.
    """
    if (Path(run) / RECOGNITION / classifier.ABOUT).is_file():
        return classifier.load(run, checkpoint).layers.network
    return load_discriminator(run, checkpoint)[0]


def make(part: Part, to: str, half: bool, path: Path, about: dict[str, str]) -> Exported:
    """Return the file of a part, after comparing it with PyTorch."""
    parity.check_alive(part)
    if to == "safetensors":
        data = safetensors_file.encode(part, half, about)
        function = safetensors_file.open_file(data, part)
    elif to == "onnx":
        data = onnx_file.encode(part, trace(part, part.network), half, about)
        function = onnx_file.open_file(data, part)
    else:
        data = pt2_file.encode(part, trace(part, HalfWeights(part.network) if half else part.network), about)
        function = pt2_file.open_file(data, part)
    return Exported(path, data, part, parity.check(part, function, half, str(path)))


def metadata(part: Part, model: Model | Translator) -> dict[str, str]:
    """Return the metadata of a file, as one JSON object: never paths, names of users or versions of programs."""
    free = ["height", "width"] if part.free_size else list(part.size)
    about: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "model": model_hash(model.network if isinstance(model, Translator) else model.generator),
        "kind": part.name if part.name not in ("a2b", "b2a") else "translator",
        "inputs": list(part.inputs),
        "outputs": list(part.outputs),
        "channels": model.config["data"]["channels"],
        "size": free,
        "trained_size": list(pair(model.config["data"]["size"])),
    }
    if isinstance(model, Translator):
        about |= {
            "multiple": part.multiple,
            "direction": "b2a" if part.name == "b2a" else "a2b",
            "trained_size": list(pair(model.config["data"]["size"])),
        }
    else:
        about |= {"latent_dim": model.generator.latent_dim, "classes": model.classes}
    if part.gives_images or part.inputs == ("image",):
        about |= {"range": [-1, 1], "alpha": "premultiplied"}
    return {METADATA: json.dumps(about | part.about)}
