"""Generate images with a trained run: one PNG per seed. A seed always gives the same bytes."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gan.commands import options
from gan.models.address import checkpoint_of
from gan.settings import TRUNCATION
from gan.utils.errors import UserError, at_least, writing
from gan.utils.output import counting, first_few

if TYPE_CHECKING:
    from torch import Tensor

    from gan.model import Model

BATCH = 256  # images in memory at a time
MAX_LISTED = 100  # seeds in the printed line
OUT = "generated"  # in the run folder


@dataclass(frozen=True, kw_only=True)
class Request(options.Weights):
    """What to generate."""

    seeds: list[int]
    out: Path | None
    grid: bool
    best: int | None
    by: str | None
    truncation: float
    label: str | None
    no_metadata: bool
    force: bool

    def __post_init__(self) -> None:
        if self.best is None and self.by is not None:
            raise UserError(f"--by {self.by}: needs --best K, the number of images to keep")
        if self.best is not None and at_least("--best", self.best, 1) > len(self.seeds):
            raise UserError(f"--best {self.best}: --seeds gives only {len(self.seeds)} images; give more, such as "
                            f"--seeds 0-{10 * self.best - 1}")  # fmt: skip


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


def run(request: Request) -> None:
    out, seeds = options.out_in_run(request.run, request.out, OUT), request.seeds
    files = [out / f"{seed}.png" for seed in seeds] + [out / "grid.png"] * request.grid
    options.refuse_existing(files, request.force)
    model = options.load_model(request)
    if request.best is not None:
        seeds = best_seeds(model, request, request.best)

    import torch

    from gan.export import provenance
    from gan.images.convert import NO_TEXT, grid, save_png

    origin = None if request.no_metadata else provenance.generated(model, request.truncation)
    images: list[Tensor] = []
    title = f"generating into {out}, with a model that has seen {model.images:,} images"
    with writing(out, "; files already written are complete"), counting(title, len(seeds)) as advance:
        for first in range(0, len(seeds), BATCH):
            part = seeds[first : first + BATCH]
            generated = model.generate(part, request.truncation, request.label).pixels
            texts = provenance.from_seeds(model, origin, part, request.label) if origin else None
            for n, (seed, image) in enumerate(zip(part, generated, strict=True)):
                save_png(image, out / f"{seed}.png", texts.image(image, n) if texts else NO_TEXT)
            images += generated if request.grid else []
            advance(len(part))
        if images:
            sheet = grid(torch.stack(images))
            whole = provenance.Described(origin, (), request.label, seeds) if origin else None
            save_png(sheet, out / "grid.png", whole.grid(sheet) if whole else NO_TEXT)


def best_seeds(model: Model, request: Request, best: int) -> list[int]:
    """Return the seeds of the best images, the best first, and print them."""
    from gan.evaluation import selection

    def generate(part: list[int]) -> tuple[Tensor, Tensor | None]:
        images = model.generate(part, request.truncation, request.label).pixels
        return images, model.labels_of(part, request.label)

    by = request.by or "likeness"
    prepare = selection.by_discriminator if by == "discriminator" else selection.by_likeness
    score = prepare(model, checkpoint_of(request.run, request.checkpoint), request.device)
    with counting(f"selecting by {by}", len(request.seeds)) as advance:
        kept = selection.select(request.seeds, best, generate, score, BATCH, advance)
    listed = first_few(list(map(str, kept)), MAX_LISTED, ",")
    print(f"the best {len(kept):,} of {len(request.seeds):,} images by {by}, the best first: seeds {listed}")
    return kept
