"""Generate images with a trained run: one PNG per seed. A seed always gives the same bytes."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan.commands import options
from gan.runs.run_folder import GENERATED
from gan.settings import TRUNCATION, add_size
from gan.utils.errors import UserError, at_least, writing
from gan.utils.files import refuse_existing
from gan.utils.output import counting

if TYPE_CHECKING:
    from torch import Tensor

    from gan.translation.translator import Translator

BATCH = 256  # images in memory at a time


@dataclass(frozen=True, kw_only=True)
class Request(options.Weights):
    """What to generate."""

    seeds: list[int]
    out: Path | None
    grid: bool
    truncation: float
    size: tuple[int, int] | None
    seamless: str | None
    tiled: int
    enlarge: str | None
    palette: str | None
    dither: str
    label: str | None
    no_metadata: bool
    force: bool

    def __post_init__(self) -> None:
        if self.size and self.truncation != TRUNCATION.default:
            raise UserError("--size and --truncation: give one of them")
        at_least("--tiled", self.tiled, 1)
        options.check_dither(self.palette, self.dither)


def load_enlarger(run: str) -> Translator:
    """Return the translator of --enlarge."""
    from gan import api

    enlarger = api.load(run)
    if getattr(getattr(enlarger, "network", None), "enlargement", 1) == 1:
        raise UserError(f"--enlarge {run}: does not enlarge images; give a run of model=enlarge")
    return enlarger


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    options.add_seeds(parser, "0-15")
    options.add_out(parser, "folder for the files SEED.png; created if missing", default=GENERATED)
    options.add_grid(parser)
    TRUNCATION.add_to(parser)
    add_size(parser, "size of the images, whose shapes are stretched", "training size")
    options.add_seamless(parser)
    parser.add_argument("--tiled", type=int, default=1, metavar="N", help="repeat each image N x N times (default: 1)")
    parser.add_argument("--enlarge", type=options.existing_run, metavar="RUN", help="enlarge the images with a run of "
                        "model=enlarge")  # fmt: skip
    options.add_palette(parser, "the images")
    options.add_class(parser)
    options.add_metadata(parser)
    options.add_weights(parser)
    options.add_force(parser)


def run(request: Request) -> None:
    out, seeds = options.out_in_run(request.run, request.out, GENERATED), request.seeds
    files = [out / f"{seed}.png" for seed in seeds] + [out / "grid.png"] * request.grid
    refuse_existing(files, request.force)
    model = options.load_model(request)

    import torch

    from gan.export import provenance
    from gan.images.convert import NO_TEXT, grid, save_png, save_pngs
    from gan.translation.tiling import memory_errors

    enlarger = load_enlarger(request.enlarge) if request.enlarge else None
    palette = options.palette_of(request.palette, lambda: model.generate(seeds[:BATCH], label=request.label).pixels)
    described = None
    if not request.no_metadata:
        fields: dict[str, Any] = {"truncation": request.truncation, "tiled": request.tiled, "dither": request.dither}
        fields["palette"] = palette
        if request.size:
            fields["size"] = list(request.size)
        if enlarger:
            fields["enlarge"] = provenance.model_hash(enlarger.network)
        described = provenance.from_seeds(model, seeds, request.label, **fields)
    images: list[Tensor] = []
    title = f"generating into {out}, with a model that has seen {model.images:,} images"
    with writing(out, "; files already written are complete"), counting(title, len(seeds)) as advance, memory_errors():
        for first in range(0, len(seeds), BATCH):
            part = seeds[first : first + BATCH]
            if request.size:
                pixels = model.synthesize(model.latents(part, request.label), size=request.size).pixels
            else:
                pixels = model.generate(part, request.truncation, request.label).pixels
            pixels = options.in_palette(pixels, palette, request.dither)
            axes = getattr(model.generator, "seamless", None)
            generated = enlarger.of_pixels(pixels, axes) if enlarger else list(pixels)
            generated = [image.repeat(1, request.tiled, request.tiled) for image in generated]
            texts = [described.image(image, n) if described else NO_TEXT for n, image in enumerate(generated, first)]
            save_pngs(generated, files[first : first + BATCH], texts)
            images += generated if request.grid else []
            advance(len(part))
        if images:
            sheet = grid(torch.stack(images))
            save_png(sheet, files[-1], described.grid(sheet) if described else NO_TEXT)
