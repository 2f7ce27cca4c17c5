"""A shared model, which `gan share` writes: its files, and the checked content of its config.json. No torch.

DIR/  model.safetensors    weights: generator.NAME, class_counts, and discriminator.NAME if it is shared too
      config.json          what builds the networks, and what commands need (`KEYS`)
      README.md            the model card, for people
      samples.png          generated images, for people

It may come from an untrusted source: nothing in it runs as code.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan import kinds
from gan.runs import run_folder
from gan.utils.errors import UserError, reason
from gan.utils.output import one_line
from gan.utils.untrusted import find_fault, read_json

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
CARD = "README.md"
SAMPLES = "samples.png"
OTHER, LICENSE = "other", "LICENSE"  # a license without an identifier of the Hub, and the file with its text
LIBRARY = "retro-gan"
FORMAT = 1  # version of the content; increased whenever older versions of this program cannot read it
DELTA = 2  # format of a shared model that has only the weights in which it differs from its base, another shared model
GENERATOR, TRANSLATOR = kinds.GENERATOR.name, kinds.TRANSLATOR.name
KEYS: Mapping[str, type] = {
    "library": str,
    "format": int,
    "kind": str,  # GENERATOR or TRANSLATOR
    "images": int,  # images seen in training
    "classes": list,  # names, in the order of labels
    "seed": int,  # of the run; the untrained discriminator in `gan recognize fit` depends on it
    "data": dict,  # how images are decoded for the networks
    "model": dict,  # _target_ of the training module, and class and options of each network
    "sha256": str,  # of model.safetensors
}
DELTA_KEYS: Mapping[str, type] = {
    "base": str,  # zoo:NAME or hf://USER/NAME
    "base_sha256": str,  # of its model.safetensors
    "kept": list,  # names of the weights that are those of the base
}
ORIGIN = "origin"  # another key of a model that `gan import` wrote: what wrote its weights
DATA = ("size", "channels", "fit", "patches_per_image", "resample", "background")  # options that decode images
MAX_PATCHES = 10**4  # per image
NETWORKS = ("generator", "discriminator")
NO_IMAGES = {  # why a shared model cannot be evaluated by itself
    GENERATOR: "a shared model has no images; give real ones with --reference FOLDER or RUN:val",
    TRANSLATOR: "a shared translator cannot be evaluated, because it has no images",
}


def is_shared(path: Path) -> bool:
    if path.name == WEIGHTS:
        return path.is_file() and (path.parent / CONFIG).is_file()
    return os.path.lexists(path / WEIGHTS) and not (path / run_folder.CONFIG).is_file()


def weights_of(path: Path) -> Path:
    folder = path.parent if path.name == WEIGHTS else path
    for name in (WEIGHTS, CONFIG):
        if not path_in(folder, folder / name).is_file():
            raise UserError(f"{folder}: has no file {name}; a shared model has {WEIGHTS} and {CONFIG}")
    return folder / WEIGHTS


def path_in(folder: Path, file: Path) -> Path:
    """Return a path in a folder that may be untrusted; raise UserError if a link in it leads out of the folder.

    In the cache of huggingface_hub, REPOSITORY/snapshots/REVISION has links to REPOSITORY/blobs.
    """
    home = Path(os.path.realpath(folder))
    allowed = [home, home.parent.parent / "blobs"] if home.parent.name == "snapshots" else [home]
    if not any(Path(os.path.realpath(file)).is_relative_to(each) for each in allowed):
        raise UserError(f"{file}: a link leads out of {folder}; copy the file into the folder")
    return file


def refuse_existing(folder: Path, force: bool) -> None:
    """Raise UserError for a folder whose own files would be lost, or one with files and no `force`."""
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder}: is not empty; use --force to overwrite its model and keep its other files")
    own = [name for name in (run_folder.CONFIG, CONFIG, CARD, SAMPLES) if (folder / name).exists()]
    if own and not is_shared(folder):
        raise UserError(f"{folder}: is not a shared model, and its {', '.join(own)} would be lost; give another folder")


def read_about(folder: Path) -> dict[str, Any]:
    """Return the content of the config.json of a shared model. The options of its networks are not checked here."""
    path = folder / CONFIG
    try:
        found = read_json(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({reason(error)})") from error
    if not isinstance(found, dict) or found.get("library") != LIBRARY:
        raise UserError(f"{path}: was not written by gan share; its library is not {LIBRARY!r}")
    if found.get("format") not in (FORMAT, DELTA):
        version = one_line(repr(found.get("format"))[:20])
        raise UserError(f"{path}: has format {version}, but this version reads {DELTA}; install a newer retro-gan")
    if wrong := find_fault(found) or wrong_keys(found):
        raise UserError(f"{path}: is not valid: it {wrong}")
    return found


def wrong_keys(about: dict[str, Any]) -> str | None:
    """Return which key is missing or has a value of another type; None if all are as gan share writes them.

    The parts check the values of their options.
    """
    for name, kind in {**KEYS, **(DELTA_KEYS if about["format"] == DELTA else {})}.items():
        if type(about.get(name)) is not kind:
            return f"has no {name} of type {kind.__name__}"
    if unknown := about["data"].keys() - set(DATA):  # such as a folder to read
        return f"has an unknown key data.{one_line(min(unknown)[:80])}"
    patches = about["data"].get("patches_per_image", 1)
    if type(patches) is not int or not 0 < patches <= MAX_PATCHES:
        return "has no valid data.patches_per_image"
    if "generator" not in about["model"]:
        return "has no model.generator"
    if about["kind"] not in (GENERATOR, TRANSLATOR):
        return f"has kind {one_line(about['kind'][:40])}, not {GENERATOR} or {TRANSLATOR}"
    return None
