"""Generate images with a trained run: one PNG per seed. A seed always gives the same bytes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from gan.commands import options
from gan.common.errors import UserError, at_least, writing
from gan.common.progress import counting
from gan.common.table import first_few
from gan.settings import TRUNCATION, parse_seeds

if TYPE_CHECKING:
    from torch import Tensor

    from gan.model import Model

BATCH = 256  # images in memory at a time
MAX_LISTED = 100  # seeds in the printed line
OUT = "generated"  # in the run folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    options.add_seeds(parser, "0-15")
    options.add_out(parser, "folder for the files SEED.png; created if missing", default=OUT)
    options.add_grid(parser)
    parser.add_argument("--best", type=int, metavar="K", help="write only the best K images of --seeds")
    parser.add_argument("--by", choices=("likeness", "discriminator"), help="what --best keeps: the images nearest to "
                        "training images, or those with the highest logits of the discriminator "
                        "(default: likeness)")  # fmt: skip
    TRUNCATION.add_to(parser)
    options.add_class(parser)
    options.add_metadata(parser)
    options.add_weights(parser)
    options.add_force(parser)


def run(arguments: argparse.Namespace) -> None:
    seeds = parse_seeds(arguments.seeds)
    check_best(arguments, len(seeds))
    out = options.out_in_run(arguments.run, arguments.out, OUT)
    files = [out / f"{seed}.png" for seed in seeds] + [out / "grid.png"] * arguments.grid
    options.refuse_existing(out, files, arguments.force)

    import torch

    from gan.images.convert import NO_TEXT, grid, save_png
    from gan.latent.space import Space
    from gan.sharing import described

    model = options.load_model(arguments)
    model.labels_of(seeds[:1], arguments.label)  # errors in the arguments come first
    if arguments.truncation != 1:
        Space(model.generator, "w")
    if arguments.best is not None:
        seeds = best_seeds(model, seeds, arguments)
    origin = None if arguments.no_metadata else described.generated(model, arguments.truncation)
    images = []
    with writing(out, "; files already written are complete"):
        title = f"generating into {out}, with a model that has seen {model.images:,} images"
        with counting(title, len(seeds)) as advance:
            for first in range(0, len(seeds), BATCH):
                part = seeds[first : first + BATCH]
                generated = model.generate(part, arguments.truncation, arguments.label).pixels
                about = described.from_seeds(model, origin, part, arguments.label) if origin else None
                for n, (seed, image) in enumerate(zip(part, generated, strict=True)):
                    save_png(image, out / f"{seed}.png", about.image(image, n) if about else NO_TEXT)
                    if arguments.grid:
                        images.append(image)
                advance(len(part))
        if images:
            sheet = grid(torch.stack(images))
            whole = described.Described(origin, (), arguments.label, seeds) if origin else None
            save_png(sheet, out / "grid.png", whole.grid(sheet) if whole else NO_TEXT)


def check_best(arguments: argparse.Namespace, count: int) -> None:
    """Raise UserError if --best and --by do not fit the number of seeds."""
    if arguments.best is None:
        if arguments.by is not None:
            raise UserError(f"--by {arguments.by}: needs --best K, the number of images to keep")
        return
    at_least("--best", arguments.best, 1)
    if arguments.best > count:
        raise UserError(f"--best {arguments.best}: --seeds gives only {count} images; give more, such as --seeds "
                        f"0-{10 * arguments.best - 1}")  # fmt: skip


def best_seeds(model: Model, seeds: list[int], arguments: argparse.Namespace) -> list[int]:
    """Return the seeds of the best images, the best first, and print them."""
    from gan.evaluation.selection import by_discriminator, by_likeness, select
    from gan.inference.resolve import checkpoint_of

    def generate(part: list[int]) -> tuple[Tensor, Tensor | None]:
        images = model.generate(part, arguments.truncation, arguments.label).pixels
        return images, model.labels_of(part, arguments.label)

    by = arguments.by or "likeness"
    prepare = by_discriminator if by == "discriminator" else by_likeness
    score = prepare(model, checkpoint_of(arguments.run, arguments.checkpoint), arguments.device)
    with counting(f"selecting by {by}", len(seeds)) as advance:
        found = select(seeds, arguments.best, generate, score, BATCH, advance)
    listed = first_few(list(map(str, found)), MAX_LISTED, ",")
    print(f"the best {len(found):,} of {len(seeds):,} images by {by}, the best first: seeds {listed}")
    return found
