"""Collect the files of a shared model from a run or a published file, and write them, see `gan.models.shared_model`.

No file has a path, the name of a user, or code. `gan.models.loading` reads them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from gan.export import card
from gan.images.convert import grid, to_png
from gan.model import Model, from_checkpoint
from gan.models import loading, shared_model
from gan.models.address import ZOO, checkpoint_of, folder_of, zoo_folder
from gan.models.loading import COUNTS, load_data, load_discriminator, load_generator, seed_of, select_direction
from gan.models.published.read import read
from gan.models.shared_model import CONFIG, SAMPLES, WEIGHTS
from gan.translation.tiling import translate_each
from gan.utils.errors import UserError, writing
from gan.utils.files import write_atomically
from gan.utils.output import print_line

SEEDS = 16  # images in the sample grid
PAIRS = 4  # photographs and translations in the sample grid of a translator
LICENSES = ("cc0-1.0", "mit", "gpl-3.0")  # of the models of the zoo, the strictest last
PATH = re.compile(r"[/\\~]")  # no option of a network of gan has these characters


def collect(
    run: str | os.PathLike[str],
    *,
    name: str,
    license: str,
    trained_on: str | None = None,
    checkpoint: str = "best",
    discriminator: bool = False,
    half: bool = False,
    samples: bool = True,
    delta: str | None = None,
    device: str = "cpu",
) -> dict[str, bytes]:
    """Return the files of a shared model by name.

    Args:
        name, license, trained_on: for the model card, see `gan.export.card.compose`.
        checkpoint: as in `gan.load`.
        discriminator: also share the discriminator.
        half: store weights in fp16.
        samples: also write a sample grid.
        delta: zoo:NAME or hf://USER/NAME, whose weights are left out where they are the same.
        device: for generating samples.
    """
    path = checkpoint_of(run, checkpoint)
    generator, state = load_generator(path)
    networks = {"generator": generator} | ({"discriminator": load_discriminator(path)[0]} if discriminator else {})
    model = from_checkpoint(path, generator, state) if hasattr(generator, "latent_dim") else None
    config, images = state["config"], int(state["images"])
    classes, counts = (model.classes, model.class_counts) if model else ([], None)
    files = encode(networks, config, images, classes, counts, half)
    files = without_base(files, delta) if delta else files
    grid_image, caption = None, ""
    if samples:
        grid_image, caption = (
            sample_grid(model.to(device)) if model else translated_grid(generator, config, path, device)
        )
    run_folder = folder_of(Path(run))
    scores = card.read_scores(run_folder, path.name, images) if run_folder else []
    if not scores:
        print_line("the model card has no scores of this checkpoint; run gan evaluate, then gan share again")
    checked_license([str(config.get("init_from"))], license)
    about, data = json.loads(files[CONFIG]), trained_on or builtin(config)
    text = card.compose(about, name, license, data, scores, caption)
    return with_card(files, text, grid_image)


def collect_blend(blended: Model, name: str, license: str, origin: str) -> dict[str, bytes]:
    """Return the files of a shared model for a blend. Arguments are those of `gan.export.card.compose`."""
    networks = {"generator": blended.generator}
    files = encode(networks, blended.config, blended.images, blended.classes, blended.class_counts)
    grid_image, caption = sample_grid(blended)
    text = card.compose(json.loads(files[CONFIG]), name, license, None, [], caption, origin)
    return with_card(files, text, grid_image)


def with_card(files: Mapping[str, bytes], card: str, samples: Tensor | None) -> dict[str, bytes]:
    """Return the files with the text of the model card, and a grid (C, H, W) of samples if there is one."""
    found = {**files, shared_model.CARD: card.encode("utf-8", "backslashreplace")}
    return found if samples is None else found | {SAMPLES: to_png(samples)}


def checked_license(starts: Sequence[str], license: str | None) -> str:
    """Return a license, by default the strictest one of the models of the zoo from which a model was made.

    A warning is printed if the model needs another license.
    """
    found = [card.read(zoo_folder(start))[0]["license"] for start in starts if start.startswith(ZOO)]
    required = max(found, key=LICENSES.index, default=None)
    if license and required not in (None, LICENSES[0], license.lower()):
        print_line(f"warning: made from weights under {required}; share the model under it: --license {required}")
    if chosen := license or required:
        return str(chosen)
    raise UserError("--license: the licenses of the models are not known; give --license NAME")


def collect_published(path: Path, discriminator: bool, half: bool, samples: bool, device: str, **names: Any) -> Any:
    """Return the files of a shared model with weights that another program wrote. Arguments as in `collect`."""
    published = read(path)
    networks = published.networks(path, discriminator)
    counts = torch.ones(len(published.classes))
    files = encode(networks, published.config, published.images, published.classes, counts, half, published.origin)
    grid_image, caption = None, ""
    if samples and hasattr(networks["generator"], "latent_dim"):
        model = Model(networks["generator"], published.images, published.config, published.classes, counts)
        grid_image, caption = sample_grid(model.to(device))
    text = card.compose(json.loads(files[CONFIG]), scores=[], samples=caption, **names)
    return with_card(files, text, grid_image)


def report(out: Path, files: Mapping[str, bytes], license: str) -> None:
    """Print what was written, and what is left to do."""
    size = sum(map(len, files.values()))
    print_line(f"{out}: {', '.join(files)}, {size / 1e6:.1f} MB; {shared_model.CARD} tells how to use it")
    if license == card.OTHER:
        print_line(f"note: add the text of the license as {out / 'LICENSE'}, and its name to {out / 'README.md'}")


def builtin(config: dict[str, Any]) -> str | None:
    """Return the name of the built-in images if a run was trained on them."""
    data = config["data"]
    has_folder = data.get("_target_") != "gan.data.module.ImageDataModule" or data.get("root") is not None
    return None if has_folder or "source" in data else card.BUILTIN


def sample_grid(model: Model) -> tuple[Tensor, str]:
    """Return a grid of generated images, with a row per class, and its caption."""
    if not model.classes:
        return grid(model.generate(list(range(SEEDS))).pixels), f"Seeds 0 to {SEEDS - 1}"
    columns = SEEDS // 2
    names = model.classes[:SEEDS]
    rows = [model.generate(list(range(columns)), label=name).pixels for name in names]
    shown = "per class" if names == model.classes else f"for each of the first {SEEDS} classes"
    return grid(torch.cat(rows), columns), f"Seeds 0 to {columns - 1}, one row {shown}"


def translated_grid(network: Any, config: dict[str, Any], path: Path, device: str) -> tuple[Tensor | None, str]:
    """Return a grid of photographs above their translations, and its caption; none if the data is not there."""
    try:
        data = load_data(config, path)
        inputs = data.inputs(PAIRS, held_out=True)
        inputs = inputs if len(inputs) == PAIRS else data.inputs(PAIRS)
    except UserError as error:
        print_line(f"no {SAMPLES}: {error}")
        return None, ""
    one = select_direction(path, network.to(device))
    outputs = translate_each(one, inputs)
    print_line(f"note: {SAMPLES} shows {len(inputs)} of your photographs; --no-samples leaves it out")
    return grid(torch.cat([inputs, outputs]), len(inputs)), "Photographs above their translations"


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
    if seamless := config["model"].get("seamless"):
        model["seamless"] = seamless
    refuse_paths("model", model)
    is_generator = hasattr(networks["generator"], "latent_dim")
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


def without_base(files: Mapping[str, bytes], base: str) -> dict[str, bytes]:
    """Return model.safetensors and config.json without the weights that equal those of a base."""
    weights, about = load(files[WEIGHTS]), json.loads(files[CONFIG])
    base_about, theirs = loading.read_base(base)
    kept = [name for name in weights if name in theirs and torch.equal(weights[name].float(), theirs[name].float())]
    encoded = save({name: value for name, value in weights.items() if name not in kept}, {"format": "pt"})
    about |= {"format": shared_model.DELTA, "base": base, "base_sha256": base_about["sha256"], "kept": kept}
    about["sha256"] = hashlib.sha256(encoded).hexdigest()
    return {WEIGHTS: encoded, CONFIG: json.dumps(about, indent=1).encode() + b"\n"}


def halved(value: Tensor) -> Tensor:
    """Return a weight in fp16; unchanged if it is a vector, which is small, or has values that fp16 has not."""
    if not value.is_floating_point() or value.ndim < 2:
        return value
    half = value.half()
    return half if half.isfinite().all() else value


def refuse_paths(name: str, value: Any) -> None:
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
