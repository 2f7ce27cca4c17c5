"""Generate images with a trained run: one PNG per seed. A seed always gives the same bytes."""

from __future__ import annotations

import argparse

from gan.commands import options
from gan.common.errors import writing
from gan.common.progress import counting

BATCH = 256  # images in memory at a time
OUT = "generated"  # in the run folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    options.add_seeds(parser, "0-15")
    options.add_out(parser, "folder for the files SEED.png; created if missing", default=OUT)
    parser.add_argument("--grid", action="store_true", help="also write all images as one grid.png")
    options.add_truncation(parser)
    options.add_class(parser)
    options.add_weights(parser)
    options.add_force(parser)


def run(arguments: argparse.Namespace) -> None:
    seeds = options.parse_seeds(arguments.seeds)
    out = options.out_in_run(arguments.run, arguments.out, OUT)
    files = [out / f"{seed}.png" for seed in seeds] + [out / "grid.png"] * arguments.grid
    options.refuse_existing(out, files, arguments.force)

    import torch

    from gan.images.convert import grid, save_png

    model = options.load_model(arguments)
    images = []
    with writing(out, "; files already written are complete"):
        with counting(f"generating into {out}", len(seeds)) as advance:
            for first in range(0, len(seeds), BATCH):
                part = seeds[first : first + BATCH]
                generated = model.generate(part, arguments.truncation, arguments.label).pixels
                for seed, image in zip(part, generated, strict=True):
                    save_png(image, out / f"{seed}.png")
                    if arguments.grid:
                        images.append(image)
                advance(len(part))
        if images:
            save_png(grid(torch.stack(images)), out / "grid.png")
