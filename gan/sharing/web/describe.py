"""model.json of a page: what the page needs to know about its model, and outputs to compare with its own."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from torch import Tensor

from gan.common.errors import UserError
from gan.inference.translator import Translator
from gan.latent.space import Space
from gan.model import Model
from gan.sharing.export.parts import Part, noise_of
from gan.sharing.web import stored_outputs
from gan.sharing.web.stored_outputs import Functions, encoded

FORMAT_VERSION = 1
MAX_BYTES = 1_500_000_000  # memory of a page for a translation; WebAssembly has 4 GB
NUM_DIRECTIONS = 4  # of GANSpace, unless others are given


def describe(
    model: Model | Translator,
    parts: list[Part],
    functions: Functions,
    half: bool,
    title: str,
    gpu: bool,
    directions: dict[str, Tensor] | None,
) -> bytes:
    """Return the contents of model.json.

    Args:
        functions: of each file, by the name of its part.
        half: whether the files have weights in fp16.
        title: of the page.
        gpu: whether the page has the files for WebGPU.
        directions: (latent_dim,) by name, for sliders; None for those of GANSpace.

    Raises:
        UserError: the images of the page would differ from those of this program.
    """
    about: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "kind": "translator" if isinstance(model, Translator) else "generator",
        "title": title,
        "files": {part.name: f"{part.name}.onnx" for part in parts},
        "channels": model.config["data"]["channels"],
        "webgpu": gpu,
    }
    if isinstance(model, Translator):
        network: Any = parts[0].original
        about |= {"multiple": network.multiple, "max_pixels": MAX_BYTES // network.bytes_per_pixel}
        numbers, margin = noise_of(network)
        about["noise"] = {"numbers": [*numbers], "margin": margin}
        about["thumbnail_size"] = getattr(network, "thumbnail_size", None)
        about["check"] = stored_outputs.of_translator(model, parts, functions, half)
    else:
        about |= {"latent_dim": model.generator.latent_dim, "classes": model.classes}
        about["class_edges"] = class_edges(model.class_counts)
        about["means"] = means_of(model)
        about["vectors"] = {name: encoded(each) for name, each in (directions or default_directions(model)).items()}
        about["check"] = stored_outputs.of_generator(model, functions, half)
    return json.dumps(about, indent=1).encode() + b"\n"


def class_edges(counts: Tensor) -> list[float]:
    """Return the cumulative numbers of images of the classes, see `gan.inference.sampling.classes_of`."""
    weights = counts.cpu().double().numpy()
    return np.cumsum(weights if weights.any() else np.ones_like(weights)).tolist()


def means_of(model: Model) -> list[str]:
    """Return the mean of w of each class for truncation; nothing without a mapping network."""
    space = Space(model.generator)
    return [encoded(each) for each in space.statistics[0]] if space.name == "w" else []


def default_directions(model: Model) -> dict[str, Tensor]:
    """Return the first directions of GANSpace; none if the generator lacks what they need."""
    try:
        return model.directions(sefa=0, pca=NUM_DIRECTIONS)
    except UserError:
        return {}
