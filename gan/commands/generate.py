"""Generate images with a trained run: one PNG per seed. A seed always gives the same bytes.

With --like, only the seeds whose images are most similar to a given image.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gan.commands import options, outputs
from gan.runs.run_folder import GENERATED
from gan.settings import TILED, TRUNCATION, add_size, parse_seeds
from gan.utils.errors import UserError, at_least, writing
from gan.utils.files import refuse_existing
from gan.utils.output import counting, print_line

if TYPE_CHECKING:
    from torch import Tensor

    from gan.model import Model
    from gan.translation.translator import Translator

BATCH = 256  # images in memory at a time
SEEDS, SEARCHED = "0-15", "0-1999"  # the default of --seeds, and that with --like
NEAREST = 16
MAX_TILED = 1 << 25  # pixels of a file
THUMBNAIL = 0.5  # weight of layout and color in the distance of --like; the features of Lite0 have weight 1


@dataclass(frozen=True, kw_only=True)
class Request(options.Weights):
    """What to generate."""

    seeds: list[int] | None
    like: Path | None
    nearest: int | None
    out: Path | None
    grid: bool
    truncation: float
    size: tuple[int, int] | None
    seamless: str | None
    tiled: int
    enlarge: str | None
    palette: str | None
    dither: str
    autocontrast: str
    label: str | None
    no_metadata: bool
    force: bool

    def __post_init__(self) -> None:
        if self.size and self.truncation != TRUNCATION.default:
            raise UserError("--size and --truncation: give one of them")
        if self.nearest is not None:
            at_least("--nearest", self.nearest, 1)
            if not self.like:
                raise UserError(f"--nearest {self.nearest}: needs an image; add --like IMAGE")
        options.check_palette(self)


def load_enlarger(run: str) -> Translator:
    from gan import Translator, load

    enlarger = load(run)
    if not isinstance(enlarger, Translator) or enlarger.network.enlargement == 1:
        raise UserError(f"--enlarge {run}: does not enlarge images; give a run of model=enlarge")
    return enlarger


def check_tiled(request: Request, image: Tensor, count: int) -> None:
    """Raise UserError if a file of repeated images (C, H, W), or the grid of `count` ones, is too large."""
    pixels = image[0].numel() * request.tiled**2 * (count if request.grid else 1)
    if request.tiled > 1 and pixels > MAX_TILED:
        raise UserError(f"--tiled {request.tiled}: a file would have {pixels:,} pixels; the limit is {MAX_TILED:,}")


def nearest_seeds(
    model: Model, request: Request, seeds: list[int], generate: Callable[[list[int]], Tensor]
) -> list[int]:
    """Return the seeds whose images are most similar to the image of --like, the most similar one first.

    The distance is that of the features of Lite0, which alone disregard whether an image is black or white, plus that
    of thumbnails. Both are relative to their means over all seeds. `generate` returns the images of seeds.
    """
    import torch

    from gan.images.collection import is_single
    from gan.metrics.extractors import extractor, features
    from gan.metrics.pixels import thumbnails

    if not is_single(request.like):
        raise UserError(f"--like {request.like}: give one image")
    lite0, target = extractor("lite0").to(request.device), model.decode(request.like).pixels
    wanted = features(lite0, target), thumbnails(target)
    distances = torch.empty(len(seeds), 2)
    with counting(f"comparing images with {request.like}", len(seeds)) as advance:
        for first in range(0, len(seeds), BATCH):
            images = generate(seeds[first : first + BATCH])
            pairs = zip((features(lite0, images), thumbnails(images)), wanted, strict=True)
            distances[first : first + BATCH] = torch.stack([(x - y).norm(dim=1) for x, y in pairs], 1)
            advance(len(images))
    total = distances / distances.mean(0).clamp(min=1e-9) @ torch.tensor([1, THUMBNAIL])
    nearest = [seeds[n] for n in total.argsort(stable=True)[: request.nearest or NEAREST]]
    print_line(f"nearest first: {','.join(map(str, nearest))}")
    return nearest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    parser.add_argument("--seeds", type=parse_seeds, help="seeds of the images, as in 0-15,42 (default: "
                        f"{SEEDS}; with --like, {SEARCHED})")  # fmt: skip
    parser.add_argument("--like", type=options.existing_path, metavar="IMAGE", help="generate only the seeds, among "
                        "--seeds, whose images are most similar to this image")  # fmt: skip
    parser.add_argument("--nearest", type=int, metavar="N", help="with --like: number of images to generate (default: "
                        f"{NEAREST})")  # fmt: skip
    options.add_out(parser, "folder for the files SEED.png; created if missing", default=GENERATED)
    options.add_grid(parser)
    TRUNCATION.add_to(parser)
    add_size(parser, "size of the images, whose shapes are stretched", "training size")
    options.add_seamless(parser)
    TILED.add_to(parser)
    parser.add_argument("--enlarge", type=options.existing_run, metavar="RUN", help="enlarge the images with a run of "
                        "model=enlarge")  # fmt: skip
    options.add_palette(parser, "the images")
    options.add_class(parser)
    options.add_metadata(parser)
    options.add_weights(parser)
    options.add_force(parser)


def run(request: Request) -> None:
    out = outputs.out_in_run(request.run, request.out, GENERATED)
    seeds = request.seeds or parse_seeds(SEARCHED if request.like else SEEDS)

    def files_of(seeds: list[int]) -> list[Path]:
        return [out / f"{seed}.png" for seed in seeds] + [out / "grid.png"] * request.grid

    if not request.like:
        refuse_existing(files_of(seeds), request.force)
    model = options.load_model(request)

    import torch

    from gan.images.convert import NO_TEXT, grid, save_png, save_pngs
    from gan.records import provenance
    from gan.translation.tiling import memory_errors

    def generate(seeds: list[int]) -> Tensor:
        if request.size:
            return model.synthesize(model.latents(seeds, request.label), size=request.size).pixels
        return model.generate(seeds, request.truncation, request.label).pixels

    if request.like:
        seeds = nearest_seeds(model, request, seeds, generate)
        refuse_existing(files_of(seeds), request.force)
    files = files_of(seeds)
    enlarger = load_enlarger(request.enlarge) if request.enlarge else None
    palette = options.palette_of(request.palette, lambda: model.generate(seeds[:BATCH], label=request.label).pixels)
    described = None
    if not request.no_metadata:
        fields: dict[str, object] = {"truncation": request.truncation, "tiled": request.tiled, "palette": palette}
        fields |= {"dither": request.dither, "autocontrast": request.autocontrast}
        if request.size:
            fields["size"] = list(request.size)
        if enlarger:
            fields["enlarge"] = provenance.model_hash(enlarger.network)
        described = provenance.from_seeds(model, seeds, request.label, **fields)
    images: list[Tensor] = []
    title = f"generating into {out}, with a model that has seen {model.images:,} images"
    with writing(out, "; files already written are complete"), counting(title, len(seeds)) as advance, memory_errors():
        batch = max(1, BATCH // request.tiled**2)  # what is repeated takes as much memory
        for first in range(0, len(seeds), batch):
            part = seeds[first : first + batch]
            pixels = options.in_palette(generate(part), palette, request)
            axes = getattr(model.generator, "seamless", None)
            generated = enlarger.of_pixels(pixels, axes) if enlarger else list(pixels)
            check_tiled(request, generated[0], len(seeds))
            generated = [image.repeat(1, request.tiled, request.tiled) for image in generated]
            texts = [described.image(image, n) if described else NO_TEXT for n, image in enumerate(generated, first)]
            save_pngs(generated, files[first : first + batch], texts)
            images += generated if request.grid else []
            advance(len(part))
        if images:
            sheet = grid(torch.stack(images))
            save_png(sheet, files[-1], described.grid(sheet) if described else NO_TEXT)
