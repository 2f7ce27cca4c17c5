"""Edit images of a trained run, or images projected by gan project, through their latents: one PNG per image."""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gan.commands import options, outputs
from gan.models.address import with_addresses
from gan.runs.run_folder import DIRECTIONS, DIRECTIONS_FILE, RECOGNITION
from gan.settings import add_size
from gan.utils.errors import UserError, did_you_mean, writing
from gan.utils.files import file_name, refuse_existing
from gan.utils.option_values import parse_assignments
from gan.utils.output import counting

if TYPE_CHECKING:
    from torch import Tensor

    from gan.model import Model

OUT = "edited"  # in the run folder
GROUP = 32  # images that are edited and saved together
DIRECTION = r"(sefa|pca)\d+"  # names of directions, as gan directions writes them


@dataclass(frozen=True, kw_only=True)
class Request(options.Weights):
    """Which images to edit, and how. The changes are the words NAME=VALUE in `settings`."""

    seeds: list[int]
    latents: Path | None
    settings: list[str]
    mix: list[tuple[int, tuple[int, int] | float]]
    size: tuple[int, int] | None
    seamless: str | None
    directions: Path | None
    recognition: Path | None
    out: Path | None
    grid: bool
    label: str | None
    no_metadata: bool
    force: bool

    def __post_init__(self) -> None:
        if self.latents and self.label:
            raise UserError("--class cannot be used with --latents, because the file has the class of each latent")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    images = parser.add_mutually_exclusive_group()
    options.add_seeds(images, "0-15")
    options.add_latents(images)
    parser.add_argument("--set", nargs="+", action="extend", default=[], dest="settings", metavar="NAME=VALUE",
                        help="change attributes, directions and classes, as in brightness=0.5 sefa0=2 poster=1; "
                        "NAME=0 fixes an attribute while others change")  # fmt: skip
    parser.add_argument("--mix", nargs="+", action="extend", default=[], type=parse_mix, metavar="SEED:LAYERS",
                        help="style mixing: take layers 4 to 8 "
                        "of seed 12, as in 12:4-8, or interpolate halfway to seed 12, as in 12:0.5; applied before "
                        "--set")  # fmt: skip
    add_size(parser, "size of the images", "training size")
    options.add_seamless(parser)
    parser.add_argument("--directions", type=options.existing_path, metavar="FILE", help="file of gan directions "
                        f"(default: RUN/{DIRECTIONS}/{DIRECTIONS_FILE})")  # fmt: skip
    options.add_recognition(parser, "folder written by gan recognize fit; --set can also change its classes (default: "
                            f"RUN/{RECOGNITION})")  # fmt: skip
    options.add_out(parser, "folder for the PNGs; created if missing", default=OUT)
    options.add_grid(parser)
    options.add_class(parser)
    options.add_metadata(parser)
    options.add_weights(parser)
    options.add_force(parser)


def run(request: Request) -> None:
    settings = parse_assignments(request.settings, "sefa0=2")
    out = outputs.out_in_run(request.run, request.out, OUT)

    import torch

    from gan.editing import vector_files
    from gan.editing.space import Space, mix
    from gan.images.convert import NO_TEXT, grid, save_png, save_pngs
    from gan.recognition.classifier import WEIGHTS
    from gan.records import provenance
    from gan.translation.tiling import memory_errors

    model = options.load_model(request)
    add_vectors_and_classes(model, set(settings), request)
    if request.latents:
        names, latents, labels = vector_files.stack_latents(request.latents, model.generator)
    else:
        names = list(map(str, request.seeds))
        latents, labels = model.latents(request.seeds, request.label)
    files = [out / file_name(name, ".png") for name in names]
    refuse_existing(files + [out / "grid.png"] * request.grid, request.force)
    described = None
    if not request.no_metadata:
        weights = outputs.recognition_folder(request.run, request.recognition) / WEIGHTS
        changes = provenance.changes(model, settings, request.mix, request.label, request.size, weights)
        described = (provenance.from_latents(model, latents, labels, **changes) if request.latents
                     else provenance.from_seeds(model, request.seeds, request.label, **changes))  # fmt: skip
    for seed, mixed in request.mix:
        latents = mix(Space(model.generator), latents, model.latents([seed], request.label)[0][0], mixed)
    images: list[Tensor] = []
    try:
        with (
            memory_errors(),
            writing(out, "; files already written are complete"),
            counting(f"generating into {out}", len(files)) as advance,
        ):
            for part in (slice(first, first + GROUP) for first in range(0, len(files), GROUP)):
                label = None if labels is None else labels[part]
                edited = model.synthesize(model.edit(latents[part], label, **settings), label, request.size).pixels
                texts = [described.image(x, n) if described else NO_TEXT for n, x in enumerate(edited, part.start)]
                save_pngs(edited, files[part], texts)
                images += edited if request.grid else []
                advance(len(edited))
            if images:
                sheet = grid(torch.stack(images))
                save_png(sheet, out / "grid.png", described.grid(sheet) if described else NO_TEXT)
    except MemoryError as error:
        hint = "; give a smaller --size" if request.size else ""
        raise UserError(f"images do not fit into memory{hint}") from error
    if not (settings or request.mix or request.size or request.latents or request.seamless):
        print("note: nothing was changed; give --set NAME=VALUE, --mix or --size", file=sys.stderr)


def add_vectors_and_classes(model: Model, names: set[str], request: Request) -> None:
    """Add directions and classes of the run that `names` of changes need; raise UserError if one does not exist."""
    from gan.editing import vector_files
    from gan.editing.attributes import POSITIONS
    from gan.recognition import classifier

    built_in = {*model.attributes, *POSITIONS}
    directions = {name for name in names - built_in if re.fullmatch(DIRECTION, name)}
    file = request.directions or outputs.results_of(request.run) / DIRECTIONS / DIRECTIONS_FILE
    folder = outputs.recognition_folder(request.run, request.recognition)
    if names - built_in - directions and (request.recognition or (folder / classifier.ABOUT).is_file()):
        device = options.prepare_device(request)
        classes = classifier.load(request.run, request.checkpoint, folder, device).attributes()
        model.attributes = classes | model.attributes
    if (directions or request.directions) and file.is_file():
        model.vectors |= vector_files.read_directions(file, model.generator)
    known = [*model.attributes, *POSITIONS, *model.vectors]
    if unknown := sorted(names - set(known)):
        others = f", and the directions that gan directions {with_addresses(request.run)} finds"
        raise UserError(f"--set {unknown[0]}: {did_you_mean(unknown[0], known)}{'' if model.vectors else others}")


def parse_mix(word: str) -> tuple[int, tuple[int, int] | float]:
    """Parse a value of --mix: "12:4-8" -> (12, (4, 8)), "12:3" -> (12, (3, 3)), "12:0.5" -> (12, 0.5)."""
    found = re.fullmatch(r"(\d+):(?:(\d+)(?:-(\d+))?|(\d*\.\d+))", word)
    if not found:
        raise UserError(f"--mix {word}: write SEED:LAYERS, as in 12:4-8, or SEED:FRACTION, as in 12:0.5")
    seed, first, last, fraction = found.groups()
    return int(seed), float(fraction) if fraction else (int(first), int(last or first))
