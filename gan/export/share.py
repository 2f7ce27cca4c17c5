"""Collect the files of a shared model from a run or a published file, see `gan.models.shared_files`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from gan import kinds
from gan.images.convert import grid
from gan.model import Model, from_checkpoint
from gan.models import card, loading, shared_files, shared_model
from gan.models.address import checkpoint_of, folder_of, locate
from gan.models.loading import licenses_of, load_data, load_discriminator, load_generator, select_direction
from gan.models.published.read import read
from gan.models.shared_files import builtin, checked_license, described, encode, sample_grid
from gan.models.shared_model import CONFIG, SAMPLES, WEIGHTS
from gan.translation.tiling import translate_each
from gan.utils.errors import UserError
from gan.utils.output import print_line

PAIRS = 4  # photographs and translations in the sample grid of a translator


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
    relicense: bool = False,
    device: str = "cpu",
    address: str = "DIR",
) -> dict[str, bytes]:
    """Return the files of a shared model by name.

    Args:
        name, license, trained_on, address: for the model card, see `gan.models.card.compose`.
        checkpoint: as in `gan.load`.
        discriminator: also share the discriminator.
        half: store weights in fp16.
        samples: also write a sample grid.
        delta: zoo:NAME or hf://USER/NAME, whose weights are left out where they are the same.
        relicense: as in `gan.models.shared_files.checked_license`.
        device: for generating samples.
    """
    path = checkpoint_of(run, checkpoint)
    generator, state = load_generator(path)
    networks = {"generator": generator} | ({"discriminator": load_discriminator(path)[0]} if discriminator else {})
    model = from_checkpoint(path, generator, state) if kinds.of_network(generator) is kinds.GENERATOR else None
    config, images = state["config"], int(state["images"])
    classes, counts = (model.classes, model.class_counts) if model else ([], None)
    files = encode(networks, config, images, classes, counts, half)
    files = without_base(files, delta) if delta else files
    starts = licenses_of(config) | ({delta: card.license_of(locate(delta))} if delta else {})
    about = {"license": checked_license(starts, license, relicense), "origin": card.credit(starts), "address": address}
    shown: tuple[Tensor | None, str] = (None, "")
    if samples:
        shown = sample_grid(model.to(device)) if model else translated_grid(generator, config, path, device)
    run_folder = folder_of(Path(run))
    scores = card.read_scores(run_folder, path.name, images) if run_folder else []
    if not scores:
        print_line("the model card has no scores of this checkpoint; run gan evaluate, then gan share again")
    return described(files, shown, scores, name=name, trained_on=trained_on or builtin(config), **about)


def collect_published(path: Path, discriminator: bool, half: bool, samples: bool, device: str, **names: Any) -> Any:
    """Return the files of a shared model with weights that another program wrote. Arguments as in `collect`."""
    published = read(path)
    networks = published.networks(path, discriminator)
    counts = torch.ones(len(published.classes))
    files = encode(networks, published.config, published.images, published.classes, counts, half, published.origin)
    shown: tuple[Tensor | None, str] = (None, "")
    if samples and kinds.of_network(networks["generator"]) is kinds.GENERATOR:
        model = Model(networks["generator"], published.images, published.config, published.classes, counts)
        shown = sample_grid(model.to(device))
    return described(files, shown, **names)


def write(out: Path, files: Mapping[str, bytes], license: str) -> None:
    """Write files into a folder, and print what was written and what is left to do."""
    shared_files.write(out, files)
    size = sum(map(len, files.values()))
    print_line(f"{out}: {', '.join(files)}, {size / 1e6:.1f} MB; {shared_model.CARD} tells how to use it")
    if license == shared_model.OTHER:
        print_line(f"note: add the text of the license as {out / shared_model.LICENSE}, and its name to README.md")


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


def without_base(files: Mapping[str, bytes], base: str) -> dict[str, bytes]:
    """Return model.safetensors and config.json without the weights that equal those of a base."""
    weights, about = load(files[WEIGHTS]), json.loads(files[CONFIG])
    base_about, theirs = loading.read_base(base)
    kept = [name for name in weights if name in theirs and torch.equal(weights[name].float(), theirs[name].float())]
    encoded = save({name: value for name, value in weights.items() if name not in kept}, {"format": "pt"})
    about |= {"format": shared_model.DELTA, "base": base, "base_sha256": base_about["sha256"], "kept": kept}
    about["sha256"] = hashlib.sha256(encoded).hexdigest()
    return {WEIGHTS: encoded, CONFIG: json.dumps(about, indent=1).encode() + b"\n"}
