"""Write the folder of a shared model: model.safetensors and config.json, see `gan.run.shared_folder`.

Neither file has a path, the name of a user, or code. `gan.inference.loading` reads them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor, nn

from gan.common.errors import UserError, writing
from gan.common.files import replace, temporary
from gan.inference.loading import COUNTS, seed_of
from gan.run import shared_folder
from gan.run.shared_folder import CONFIG, SAMPLES, WEIGHTS

PATH = re.compile(r"[/\\~]")  # no option of a network of gan has these characters


def encode(
    generator: nn.Module,
    config: Mapping[str, Any],
    images: int,
    classes: list[str],
    class_counts: Tensor | None = None,
    discriminator: nn.Module | None = None,
    half: bool = False,
) -> dict[str, bytes]:
    """Return the contents of model.safetensors and config.json.

    Args:
        generator: the EMA generator or translator, with the final statistics of BatchNorm.
        config: configuration of the run.
        images: number of images seen in training.
        class_counts: (classes,), number of training images of each class.
        half: store weights in fp16.

    Raises:
        UserError: an option of a network is a path.
    """
    networks = {"generator": generator} | ({} if discriminator is None else {"discriminator": discriminator})
    weights = {
        f"{role}.{name}": (halved(value) if half else value).detach().cpu().contiguous().clone()
        for role, network in networks.items()
        for name, value in network.state_dict().items()
    }
    if classes and class_counts is not None:
        weights[COUNTS] = class_counts.detach().cpu().contiguous()
    encoded = save(weights, {"format": "pt"})
    model = {"_target_": config["model"].get("_target_", "gan.training.module.GAN")}
    model |= {role: config["model"][role] for role in networks}
    refuse_paths("model", model)
    about = {
        "library": shared_folder.LIBRARY,
        "format": shared_folder.FORMAT,
        "kind": shared_folder.GENERATOR if hasattr(generator, "latent_dim") else shared_folder.TRANSLATOR,
        "images": images,
        "classes": list(classes),
        "seed": seed_of(config),
        "data": {name: config["data"][name] for name in shared_folder.DATA if name in config["data"]},
        "model": model,
        "sha256": hashlib.sha256(encoded).hexdigest(),
    }
    text = json.dumps(about, indent=1)
    if wrong := shared_folder.wrong_keys(json.loads(text)):
        raise UserError(f"this model cannot be shared: its configuration {wrong}")
    return {WEIGHTS: encoded, CONFIG: text.encode() + b"\n"}


def halved(value: Tensor) -> Tensor:
    """Return a weight in fp16; unchanged if it is a vector, which is small, or has values that fp16 has not."""
    if not value.is_floating_point() or value.ndim < 2:
        return value
    found = value.half()
    return found if found.isfinite().all() else value


def refuse_paths(name: str, value: Any) -> None:
    """Raise UserError if a text in nested options is a path, which would tell about the author's computer."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            refuse_paths(f"{name}.{key}", each)
    elif isinstance(value, list | tuple):
        for each in value:
            refuse_paths(name, each)
    elif isinstance(value, str) and PATH.search(value):
        raise UserError(f"{name}={value}: is a path, and a shared model has no paths; train without this option")


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, all of them or none.

    A new folder appears complete. In an existing folder the files are replaced one after the other, after all are on
    the disk, and a samples.png that is not among them is removed; config.json has the checksum of model.safetensors,
    so an interruption in between cannot be missed.

    Raises:
        UserError: the folder cannot be written.
    """
    exists = folder.is_dir()
    partial = temporary(folder / WEIGHTS if exists else folder.absolute())
    try:
        with writing(folder, "; nothing was changed"):
            partial.mkdir(parents=True)
            for name, content in files.items():
                with open(partial / name, "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
        with writing(folder):
            if not exists:
                replace(partial, folder)
            for name in files if exists else ():
                replace(partial / name, folder / name)
            if SAMPLES not in files:
                (folder / SAMPLES).unlink(missing_ok=True)  # of the model before, with photographs if it translates
    finally:
        shutil.rmtree(partial, ignore_errors=True)
