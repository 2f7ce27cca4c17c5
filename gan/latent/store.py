"""Vectors by name in a file, safetensors, which belong to one generator: directions, and points that were found."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from gan.errors import UserError
from gan.latent.space import Space
from gan.runs import write_atomically


class Stored(NamedTuple):
    """Vectors by name, the space that they are of, and what else was said of them."""

    vectors: dict[str, Tensor]
    space: Space
    about: dict[str, str]


def write(path: Path, vectors: dict[str, Tensor], space: Space, **about: str) -> None:
    """Whole or not at all, with the name of the space and the fingerprint of the generator.

    Raises:
        OSError: the file system does not take it.
    """
    about = {"space": space.name, "generator": fingerprint(space.generator), **about}
    one = {"about": json.dumps(about)}  # safetensors puts several in an order that changes from run to run
    encoded = save({name: vector.contiguous() for name, vector in vectors.items()}, one)
    write_atomically(path, lambda file: file.write(encoded))


def read(path: Path, generator: nn.Module) -> Stored:
    """What `write` has written.

    Raises:
        UserError: there is no such file, it is damaged, or it is of another generator.
    """
    try:
        with safe_open(str(path), "pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
            vectors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    if about.get("generator") != fingerprint(generator):
        raise UserError(f"{path}: is of another model, or of another checkpoint or average of it")
    return Stored(vectors, Space(generator, about["space"]), about)


def fingerprint(generator: nn.Module) -> str:
    """Of all weights, wherever they lie."""
    digest = hashlib.blake2b(digest_size=16)
    for name, weight in generator.named_parameters():
        digest.update(name.encode())
        digest.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
