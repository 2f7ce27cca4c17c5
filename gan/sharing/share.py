"""Collect the files of a shared model from a run."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.common.output import print_line
from gan.images.convert import grid, to_png
from gan.inference.loading import load_data, load_discriminator, load_generator, select_direction
from gan.inference.resolve import checkpoint_of, folder_of
from gan.inference.tiling import translate_each
from gan.model import Model, from_checkpoint
from gan.run import shared_model
from gan.sharing import card, folder, scores

SEEDS = 16  # images in the sample grid
PAIRS = 4  # photographs and translations in the sample grid of a translator


def collect(
    run: str | os.PathLike[str],
    *,
    name: str,
    license: str,
    trained_on: str | None = None,
    checkpoint: str = "best",
    ema: float | None = None,
    discriminator: bool = False,
    half: bool = False,
    notes: str = "",
    samples: bool = True,
    prepare: Callable[[], str] = lambda: "cpu",
) -> dict[str, bytes]:
    """Return the files of a shared model by name.

    Args:
        run: a run folder, a checkpoint file or a shared model.
        name: name of the model in its model card.
        license: identifier of a license on the Hugging Face Hub.
        trained_on: name of the training images in the model card.
        checkpoint, ema: as in `gan.load`.
        discriminator: also share the discriminator.
        half: store weights in fp16.
        notes: Markdown text to add to the model card.
        samples: also write a sample grid.
        prepare: called after the model is loaded, returns the device for generating samples.

    Raises:
        UserError: the model cannot be loaded, has an option that is a path, or has no discriminator of images.
    """
    path = checkpoint_of(run, checkpoint)
    generator, state = load_generator(path, ema)
    judge = load_discriminator(path)[0] if discriminator else None
    translates = not hasattr(generator, "latent_dim")
    model = None if translates else from_checkpoint(path, generator, state)
    counts = None if model is None else model.class_counts
    config, images = state["config"], int(state["images"])
    files = folder.encode(generator, config, images, [] if model is None else model.classes, counts, judge, half)
    grid_image, caption = None, ""
    if samples:
        device = prepare()
        grid_image, caption = (
            sample_grid(model.to(device)) if model else translated_grid(generator, config, path, device)
        )
    found = [] if ema is not None or not (run_folder := folder_of(Path(run))) else scores.read(
        run_folder, path.name, images, config
    )  # fmt: skip
    if not found:
        print_line("the model card has no scores of this checkpoint; run gan evaluate, then gan share again")
    about = json.loads(files[shared_model.CONFIG])
    text = card.compose(about, name, license, trained_on or builtin(config), found, caption, notes)
    files[shared_model.CARD] = text.encode("utf-8", "backslashreplace")
    return files | ({} if grid_image is None else {shared_model.SAMPLES: to_png(grid_image)})


def builtin(config: dict[str, Any]) -> str | None:
    """Return the name of the built-in images if a run was trained on them."""
    data = config["data"]
    own = data.get("_target_") == "gan.data.module.ImageDataModule" and data.get("root") is None
    return card.BUILTIN if own and "source" not in data else None


def sample_grid(model: Model) -> tuple[Tensor, str]:
    """Return a grid of generated images, with a row per class, and its caption."""
    if not model.classes:
        return grid(model.generate(list(range(SEEDS))).pixels), f"Seeds 0 to {SEEDS - 1}"
    columns = SEEDS // 2
    names = model.classes[:columns]
    rows = [model.generate(list(range(columns)), label=name).pixels for name in names]
    return grid(torch.cat(rows), columns), f"Seeds 0 to {columns - 1}, one row per class"


def translated_grid(network: Any, config: dict[str, Any], path: Path, device: str) -> tuple[Tensor | None, str]:
    """Return a grid of photographs above their translations, and its caption; none if the data is not there."""
    try:
        data = load_data(config, path)
        inputs = data.inputs(PAIRS, held_out=True)
        inputs = inputs if len(inputs) == PAIRS else data.inputs(PAIRS)
    except UserError as error:
        print_line(f"no {shared_model.SAMPLES}: {error}")
        return None, ""
    one = select_direction(path, network.to(device))
    outputs = translate_each(one, inputs)
    print_line(f"note: {shared_model.SAMPLES} shows {len(inputs)} of your photographs; --no-samples leaves it out")
    return grid(torch.cat([inputs, outputs]), len(inputs)), "Photographs above their translations"


def example(files: dict[str, bytes], out: Path) -> str:
    """Return a command that uses a shared model, for the next step."""
    kind = json.loads(files[shared_model.CONFIG])["kind"]
    folder = shlex.quote(str(out))
    return f"gan translate {folder} PHOTO.jpg" if kind == shared_model.TRANSLATOR else f"gan generate {folder}"
