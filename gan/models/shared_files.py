"""Write the files of a shared model, see `gan.models.shared_model`.

No file has a path, the name of a user, or code. `gan.models.loading` reads them.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from gan import kinds
from gan.images.convert import grid, to_png
from gan.models import card, hub, shared_model
from gan.models.loading import COUNTS, licenses_of, seed_of
from gan.models.shared_model import CONFIG, SAMPLES, WEIGHTS
from gan.settings import parse_license, permits
from gan.utils.errors import UserError, writing
from gan.utils.files import write_atomically
from gan.utils.output import one_line

SEEDS = 16  # images in the sample grid
PATH = re.compile(r"[/\\~]")  # no option of a network of gan has these characters


def push(
    model: Any, repository: str, license: str, trained_on: str | None, private: bool, relicense: bool = False
) -> str:
    """Upload a `gan.Model` to the Hub, and return the URL of its page. Arguments are those of its `push_to_hub`."""
    name, license = hub.repository(repository), parse_license(license, "license=")
    api = hub.log_in()
    starts = licenses_of(model.config)
    about = {"license": license, "trained_on": trained_on or builtin(model.config), "address": f"{hub.HUB}{name}"}
    about |= {"license": checked_license(starts, license, relicense), "origin": card.credit(starts)}
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), collect(model, name=name.rpartition("/")[2], **about))
        return hub.upload(api, Path(folder), name, private)


def collect(model: Any, **about: Any) -> dict[str, bytes]:
    """Return the files of a generator, a `gan.Model`, by name. `about` is for `described`."""
    files = encode({"generator": model.generator}, model.config, model.images, model.classes, model.class_counts)
    return described(files, sample_grid(model), **about)


def described(
    files: Mapping[str, bytes],
    samples: tuple[Tensor | None, str],
    scores: Sequence[card.MeasuredScore] = (),
    **about: Any,
) -> dict[str, bytes]:
    """Return files with a model card, and a grid of samples if there is one.

    Args:
        samples: the grid (C, H, W), and its caption.
        about: name, license, trained_on, and if known origin and address, see `gan.models.card.compose`.
    """
    grid_image, caption = samples
    text = card.compose(json.loads(files[CONFIG]), scores=scores, samples=caption, **about)
    found = {**files, shared_model.CARD: text.encode("utf-8", "backslashreplace")}
    return found if grid_image is None else found | {SAMPLES: to_png(grid_image)}


def sample_grid(model: Any) -> tuple[Tensor, str]:
    """Return a grid of images of a `gan.Model`, with a row per class, and its caption."""
    if not model.classes:
        return grid(model.generate(list(range(SEEDS))).pixels), f"Seeds 0 to {SEEDS - 1}"
    columns = SEEDS // 2
    names = model.classes[:SEEDS]
    rows = [model.generate(list(range(columns)), label=name).pixels for name in names]
    shown = "per class" if names == model.classes else f"for each of the first {SEEDS} classes"
    return grid(torch.cat(rows), columns), f"Seeds 0 to {columns - 1}, one row {shown}"


def encode(
    networks: Mapping[str, nn.Module],
    config: Mapping[str, Any],
    images: int,
    classes: list[str],
    class_counts: Tensor | None = None,
    half: bool = False,
    origin: str = "",
) -> dict[str, bytes]:
    """Return the contents of model.safetensors and config.json.

    Args:
        networks: "generator", which is the EMA generator or translator with the final statistics of BatchNorm, and
            maybe "discriminator".
        class_counts: (classes,), number of training images of each class.
        origin: the program that wrote the weights, if it is another one.
    """
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
    if isinstance(model.get("discriminator", {}).get("weights"), str):  # a path; its weights are among those here
        model["discriminator"] = model["discriminator"] | {"weights": None}
    if seamless := getattr(networks["generator"], "seamless", None):
        model["seamless"] = seamless
    refuse_paths("model", model)
    is_generator = kinds.of_network(networks["generator"]) is kinds.GENERATOR
    about = {
        "library": shared_model.LIBRARY,
        "format": shared_model.FORMAT,
        "kind": shared_model.GENERATOR if is_generator else shared_model.TRANSLATOR,
        "images": images,
        "classes": list(classes),
        "seed": seed_of(config),
        "data": {name: config["data"][name] for name in shared_model.DATA if name in config["data"]},
        "model": model,
        "sha256": hashlib.sha256(encoded).hexdigest(),
    } | ({shared_model.ORIGIN: origin} if origin else {})
    return {WEIGHTS: encoded, CONFIG: json.dumps(about, indent=1).encode() + b"\n"}


def checked_license(starts: Mapping[str, str], license: str | None, relicense: bool = False) -> str:
    """Return a license, by default the strictest one of the models from which the weights come.

    Args:
        starts: the licenses of these models by name, see `licenses_of`.
        relicense: allow any license.

    Raises:
        UserError: the license of a model does not permit this one, or there is no license.
    """
    if license is None:
        fitting = (one for one in starts.values() if all(permits(other, one) for other in starts.values()))
        license = next(fitting, card.UNKNOWN)
    if license == card.UNKNOWN:
        raise UserError("--license: the licenses of the models are not known, or permit none; give --license NAME")
    for name, start in starts.items():
        if not relicense and not permits(start, license):
            advice = f"share the model under {start}, or add --relicense if you have permission"
            raise UserError(f"--license {license}: weights come from {one_line(name)}, under {start}; {advice}")
    return license


def builtin(config: dict[str, Any]) -> str | None:
    """Return the name of the built-in images if a run was trained on them."""
    data = config["data"]
    has_folder = data.get("_target_") != "gan.data.module.ImageDataModule" or data.get("root") is not None
    return None if has_folder or "source" in data else card.BUILTIN


def halved(value: Tensor) -> Tensor:
    """Return a weight in fp16; unchanged if it is a vector, which is small, or has values that fp16 has not."""
    if not value.is_floating_point() or value.ndim < 2:
        return value
    half = value.half()
    return half if half.isfinite().all() else value


def refuse_paths(name: str, value: object) -> None:
    """Raise UserError if a text in nested options is a path, which would tell about the author's computer."""
    if isinstance(value, Mapping):
        for key, option in value.items():
            refuse_paths(f"{name}.{key}", option)
    elif isinstance(value, list | tuple):
        for option in value:
            refuse_paths(name, option)
    elif isinstance(value, str) and PATH.search(value):
        raise UserError(f"{name}={value}: is a path, and a shared model has no paths; train without this option")


def write(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder, each of them completely or not at all.

    config.json has the checksum of model.safetensors, so an interruption in between cannot be missed. A samples.png of
    an earlier model is removed: that of a translator shows photographs.
    """
    with writing(folder):
        for name, content in files.items():
            write_atomically(folder / name, lambda file, content=content: file.write(content))  # type: ignore[misc]
        if SAMPLES not in files:
            (folder / SAMPLES).unlink(missing_ok=True)
