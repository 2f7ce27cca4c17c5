"""Read and write named vectors of a generator as safetensors: directions, or latents of projected images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor, nn

from gan.editing.space import Space
from gan.utils import digest
from gan.utils.errors import UserError
from gan.utils.files import write_bytes
from gan.utils.output import one_line
from gan.utils.untrusted import parse_json, read_tensors


class Stored(NamedTuple):
    """Latents of images by name, their labels if the generator is conditional, and the metadata of the file."""

    vectors: dict[str, Tensor]
    labels: dict[str, int]
    about: dict[str, Any]


def write(path: Path, vectors: dict[str, Tensor], space: Space, **about: str) -> None:
    """Write vectors atomically, with the name of their space and the fingerprint of their generator as metadata."""
    about = {"space": space.name, "generator": fingerprint(space.generator), **about}
    one = {"about": json.dumps(about)}  # one key, because safetensors writes several keys in random order
    write_bytes(path, save({name: vector.contiguous() for name, vector in vectors.items()}, one))


def read_directions(path: Path, generator: nn.Module) -> dict[str, Tensor]:
    return _read(path, generator, latents=False)[0]


def read_effects(path: Path) -> dict[str, str]:
    """Return what directions change, by their names, as `gan directions` has measured it."""
    about = by_name(read_tensors(path)[1], "about", path)
    return {name: one_line(effect, 40) for name, effect in by_name(about, "effects", path).items()}


def read_latents(path: Path, generator: nn.Module) -> Stored:
    vectors, about = _read(path, generator, latents=True)
    labels, classes = by_name(about, "labels", path), Space(generator).classes
    if classes and not all(labels.get(name) in range(classes) for name in vectors):
        raise UserError(f"{path}: an image has no label from 0 to {classes - 1}")
    return Stored(vectors, labels if classes else {}, about)


def stack_latents(path: Path, generator: nn.Module) -> tuple[list[str], Tensor, Tensor | None]:
    """Return the names, latents (N, ...) and labels (N,) of images; labels are None without classes."""
    vectors, labels, _ = read_latents(path, generator)
    label = torch.tensor([labels[name] for name in vectors]) if labels else None
    return list(vectors), torch.stack(list(vectors.values())), label


def _read(path: Path, generator: nn.Module, latents: bool) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file written by `write`; raise UserError if it has something else than what the caller needs."""
    vectors, metadata = read_tensors(path)
    about, space = by_name(metadata, "about", path), Space(generator)
    if (about.get("generator"), about.get("space")) != (fingerprint(generator), space.name):
        raise UserError(f"{path}: belongs to another model, checkpoint, EMA or latent space")
    if ("labels" in about) != latents:
        right = "latents of images, written by gan project" if latents else "directions, written by gan directions"
        raise UserError(f"{path}: give a file of {right}")
    shapes = [(space.size,)] + [(space.layers, space.size)] * (latents and space.name == "w")
    kinds = {(tuple(vector.shape), vector.dtype) for vector in vectors.values()}
    if len(kinds) != 1 or not kinds <= {(shape, torch.float32) for shape in shapes}:
        expected = " or ".join(map(str, shapes))
        raise UserError(f"{path}: its vectors must be float32 and have one shape, {expected}")
    return vectors, about


def by_name(about: Mapping[str, Any], what: str, path: Path) -> dict[str, Any]:
    """Return a JSON object of the metadata, such as the labels of images by name."""
    try:
        return dict(parse_json(str(about.get(what, "{}"))).items())
    except (ValueError, AttributeError) as error:
        raise UserError(f"{path}: its {what} cannot be read ({error})") from error


def fingerprint(generator: nn.Module) -> str:
    return digest.of_tensors(generator.named_parameters())
