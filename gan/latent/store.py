"""Read and write named vectors of a generator as safetensors: directions, or latents of projected images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from gan.common import digest
from gan.common.errors import UserError
from gan.common.files import write_atomically
from gan.common.untrusted import check_header, parse_json
from gan.latent.space import Space


class Stored(NamedTuple):
    """Vectors by name, their latent space, and the metadata of the file."""

    vectors: dict[str, Tensor]
    space: Space
    about: dict[str, str]


def write(path: Path, vectors: dict[str, Tensor], space: Space, **about: str) -> None:
    """Write vectors atomically, with the name of their space and the fingerprint of their generator as metadata.

    Raises:
        OSError: the file cannot be written.
    """
    about = {"space": space.name, "generator": fingerprint(space.generator), **about}
    one = {"about": json.dumps(about)}  # one key, because safetensors writes several keys in random order
    encoded = save({name: vector.contiguous() for name, vector in vectors.items()}, one)
    write_atomically(path, lambda file: file.write(encoded))


def read(path: Path, generator: nn.Module) -> Stored:
    """Read a file written by `write`.

    Raises:
        UserError: the file does not exist, is damaged, or belongs to another generator.
    """
    check_header(path)
    try:
        with safe_open(str(path), "pt") as file:
            about = parse_json((file.metadata() or {}).get("about", "{}"))
            vectors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    if not isinstance(about, dict) or not all(isinstance(each, str) for each in about.values()):
        raise UserError(f"{path}: its metadata has a value that is not text")
    if about.get("generator") != fingerprint(generator):
        raise UserError(f"{path}: belongs to another model, checkpoint or EMA")
    if about.get("space") not in ("z", "w"):
        raise UserError(f"{path}: has latent space {about.get('space', '')!r}; only z and w exist")
    try:
        space = Space(generator, about["space"])
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    check_vectors(vectors, space, path)
    return Stored(vectors, space, about)


def read_directions(path: Path, generator: nn.Module) -> dict[str, Tensor]:
    """Return directions (latent_dim,) by name, in the default space of the generator.

    Raises:
        UserError: as `read`, or the vectors belong to another space or are latents of images.
    """
    vectors, space, about = read(path, generator)
    if "labels" in about:
        raise UserError(f"{path}: contains latents of images; give a file of directions, written by gan directions")
    check_space(space, path)
    if wrong := [name for name, vector in vectors.items() if vector.ndim != 1]:
        raise UserError(f"{path}: {wrong[0]} has a latent for each layer; a direction is one vector")
    return vectors


def read_latents(path: Path, generator: nn.Module) -> tuple[Stored, dict[str, int]]:
    """Return latents of images in the default space of the generator, and their labels if it is conditional.

    Raises:
        UserError: as `read`, or the vectors belong to another space, have no valid labels, or are directions.
    """
    stored = read(path, generator)
    if "labels" not in stored.about:
        raise UserError(f"{path}: contains no latents of images; give a file written by gan project")
    check_space(stored.space, path)
    if len({vector.shape for vector in stored.vectors.values()}) > 1:
        raise UserError(f"{path}: its latents have different shapes")
    labels, classes = by_name(stored.about, "labels", path), stored.space.classes
    if not classes and labels:
        raise UserError(f"{path}: has labels, but this generator has no classes")
    for name in stored.vectors if classes else ():
        label = labels.get(name)
        if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < classes:
            raise UserError(f"{path}: the label of {name} is {label!r}; it must be from 0 to {classes - 1}")
    return stored, labels


def stack_latents(path: Path, generator: nn.Module) -> tuple[list[str], Tensor, Tensor | None]:
    """Return the names, latents (N, ...) and labels (N,) of images; labels are None without classes.

    Raises:
        UserError: as `read_latents`.
    """
    (vectors, _, _), labels = read_latents(path, generator)
    label = torch.tensor([labels[name] for name in vectors]) if labels else None
    return list(vectors), torch.stack(list(vectors.values())), label


def by_name(about: dict[str, str], what: str, path: Path) -> dict[str, Any]:
    """Return a JSON object of the metadata, which has a value for each vector.

    Raises:
        UserError: it is not a JSON object.
    """
    try:
        values = parse_json(about.get(what, "{}"))
    except ValueError as error:
        raise UserError(f"{path}: its {what} cannot be read ({error})") from error
    if not isinstance(values, dict):
        raise UserError(f"{path}: its {what} are not a JSON object")
    return values


def check_vectors(vectors: dict[str, Tensor], space: Space, path: Path) -> None:
    """Raise UserError if the vectors cannot be latents or directions of a space: wrong type, shape or value."""
    if not vectors:
        raise UserError(f"{path}: is empty")
    shapes = [(space.size,)] + [(space.layers, space.size)] * (space.name == "w")
    for name, vector in vectors.items():
        if vector.dtype != torch.float32:
            raise UserError(f"{path}: {name} is {vector.dtype}; it must be {torch.float32}")
        if tuple(vector.shape) not in shapes:
            expected = " or ".join(map(str, shapes))
            raise UserError(f"{path}: {name} has shape {tuple(vector.shape)}; it must be {expected}")
        if not bool(vector.isfinite().all()):
            raise UserError(f"{path}: {name} is not finite")


def check_space(space: Space, path: Path) -> None:
    """Raise UserError if a space is not the default space of its generator, in which images are edited."""
    if space.name != (own := Space(space.generator).name):
        raise UserError(f"{path}: contains vectors of {space.name}; this generator needs vectors of {own}")


def fingerprint(generator: nn.Module) -> str:
    """Return a digest of all weights. It does not depend on the device."""
    return digest.of_tensors(generator.named_parameters())
