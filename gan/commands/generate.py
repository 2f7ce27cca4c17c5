"""Generate images with a trained run: one PNG per seed. A seed always gives the same bytes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from gan.commands import options
from gan.settings import TRUNCATION
from gan.utils.errors import writing
from gan.utils.output import counting

if TYPE_CHECKING:
    from torch import Tensor

BATCH = 256  # images in memory at a time
OUT = "generated"  # in the run folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    options.add_seeds(parser, "0-15")
    options.add_out(parser, "folder for the files SEED.png; created if missing", default=OUT)
    options.add_grid(parser)
    TRUNCATION.add_to(parser)
    options.add_class(parser)
    options.add_metadata(parser)
    options.add_weights(parser)
    options.add_force(parser)


def run(arguments: argparse.Namespace) -> None:
    out, seeds = options.out_in_run(arguments.run, arguments.out, OUT), arguments.seeds
    files = [out / f"{seed}.png" for seed in seeds] + [out / "grid.png"] * arguments.grid
    options.refuse_existing(files, arguments.force)
    model = options.load_model(arguments)

    import torch

    from gan.export import provenance
    from gan.images.convert import NO_TEXT, grid, save_png

    texts = None
    if not arguments.no_metadata:
        origin = provenance.generated(model, arguments.truncation)
        texts = provenance.from_seeds(model, origin, seeds, arguments.label)
    images: list[Tensor] = []
    title = f"generating into {out}, with a model that has seen {model.images:,} images"
    with writing(out, "; files already written are complete"), counting(title, len(seeds)) as advance:
        for first in range(0, len(seeds), BATCH):
            part = seeds[first : first + BATCH]
            generated = model.generate(part, arguments.truncation, arguments.label).pixels
            for n, (seed, image) in enumerate(zip(part, generated, strict=True), first):
                save_png(image, out / f"{seed}.png", texts.image(image, n) if texts else NO_TEXT)
            images += generated if arguments.grid else []
            advance(len(part))
        if images:
            sheet = grid(torch.stack(images))
            save_png(sheet, out / "grid.png", texts.grid(sheet) if texts else NO_TEXT)
