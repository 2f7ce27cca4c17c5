"""Edit images of a trained run, or images projected by gan project, through their latents: one PNG per image."""

from __future__ import annotations

import argparse
import functools
import operator
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gan.commands import options
from gan.commands.directions import class_attributes
from gan.commands.resumable import Results
from gan.common import digest
from gan.common.assignments import parse_assignments
from gan.common.errors import UserError, did_you_mean, writing
from gan.common.names import file_name
from gan.common.progress import counting
from gan.run.address import with_addresses
from gan.run.run_folder import DIRECTIONS, DIRECTIONS_FILE, RECOGNITION
from gan.settings import parse_seeds, parse_size

if TYPE_CHECKING:
    from torch import Tensor

    from gan.model import Model

OUT = "edited"  # in the run folder
GROUP = 32  # images that are edited and saved together
DIRECTION = r"(sefa|pca)\d+"  # names of directions, as gan directions writes them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    images = parser.add_mutually_exclusive_group()
    options.add_seeds(images, "0-15")
    options.add_latents(images)
    parser.add_argument("--set", nargs="+", action="extend", default=[], dest="settings", metavar="NAME=VALUE",
                        help="change attributes, directions and classes, as in brightness=0.5 sefa0=2 poster=1; 0 "
                        "keeps an attribute constant while others change")  # fmt: skip
    parser.add_argument("--mix", nargs="+", action="extend", default=[], metavar="SEED:LAYERS",
                        help="style mixing: take layers 4 to 8 "
                        "of seed 12, as in 12:4-8, or interpolate halfway to seed 12, as in 12:0.5; applied before "
                        "--set")  # fmt: skip
    options.add_size(parser, "size of the images", "training size")
    parser.add_argument("--directions", type=Path, metavar="FILE", help="file of gan directions (default: "
                        f"RUN/{DIRECTIONS}/{DIRECTIONS_FILE})")  # fmt: skip
    options.add_recognition(parser, "folder written by gan recognize fit; --set can also change its classes (default: "
                            f"RUN/{RECOGNITION})")  # fmt: skip
    options.add_out(parser, "folder for the PNGs; created if missing", default=OUT)
    options.add_grid(parser)
    options.add_class(parser)
    options.add_metadata(parser)
    options.add_weights(parser)
    options.add_force(parser)


def run(arguments: argparse.Namespace) -> None:
    seeds, settings = parse_seeds(arguments.seeds), parse_assignments(arguments.settings, "sefa0=2")
    mixes = [parse_mix(word) for word in arguments.mix]
    size = parse_size(arguments.size) if arguments.size else None
    out: Path = options.out_in_run(arguments.run, arguments.out, OUT)
    file = arguments.directions or options.results_of(arguments.run) / DIRECTIONS / DIRECTIONS_FILE
    if arguments.directions and not file.is_file():
        reason = f"is a folder; give its {DIRECTIONS_FILE}" if file.is_dir() else "no such file"
        raise UserError(f"--directions {file}: {reason}")
    if arguments.latents and arguments.label:
        raise UserError("--class cannot be used with --latents, because the file has the class of each latent")
    if arguments.latents and not arguments.latents.is_file():
        raise UserError(f"--latents {arguments.latents}: no such file")

    import torch

    from gan.images.convert import NO_TEXT, grid, save_png
    from gan.inference.tiling import memory_errors
    from gan.latent import mixing, store
    from gan.latent.position import POSITIONS
    from gan.latent.space import Space
    from gan.recognition.classifier import WEIGHTS
    from gan.sharing import described, provenance

    model = options.load_model(arguments)
    add_vectors_and_classes(model, settings.keys() - {*model.attributes, *POSITIONS}, file, arguments)
    if unknown := [name for name in settings if name not in {*model.attributes, *POSITIONS, *model.vectors}]:
        names = [*model.attributes, *POSITIONS, *model.vectors]
        command = f"gan directions {with_addresses(arguments.run)}"
        others = "" if model.vectors else f", and the directions that {command} finds"
        raise UserError(f"--set {unknown[0]}: {did_you_mean(unknown[0], names)}{others}")
    if arguments.latents:
        names, latents, labels = store.stack_latents(arguments.latents, model.generator)
    else:
        names = list(map(str, seeds))
        latents, labels = model.latents(seeds, arguments.label)
    files = [file_name(name, ".png") for name in names]
    weights, origin = options.recognition_folder(arguments) / WEIGHTS, None
    if not arguments.no_metadata:
        changes = provenance.changes(model, settings, mixes, arguments.label, size, weights)
        shared = provenance.Origin(model.generator, model.images, **changes)
        origin = (described.from_latents(model, shared, latents, labels) if arguments.latents
                  else described.from_seeds(model, shared, seeds, arguments.label))  # fmt: skip
    for seed, part in mixes:
        latents = mixing.mix(Space(model.generator), latents, model.latents([seed], arguments.label)[0][0], part)
    keys = store.fingerprint(model.generator), digest.of_tensor(latents), str(labels)
    results = Results(out, arguments, *keys, file, weights)
    if not results.started:
        options.refuse_existing(out, [out / name for name in (*files, *["grid.png"] * arguments.grid)], arguments.force)

    def edited(first: int) -> Tensor:
        part = slice(first, first + GROUP)
        label = None if labels is None else labels[part]
        return model.synthesize(model.edit(latents[part], label, **settings), label, size).pixels

    if arguments.grid:
        edited = functools.cache(edited)

    def save(part: slice) -> int:
        images = edited(part.start)
        results.write()  # before the first image, to mark the images as written by this command
        for n, image in enumerate(images, part.start):
            save_png(image, out / files[n], origin.image(image, n) if origin else NO_TEXT)
        return len(images)

    try:
        with memory_errors(), writing(out, "; files already written are complete"):
            save_groups(out, files, save, results)
            if arguments.grid:
                sheet = grid(torch.cat([edited(first) for first in range(0, len(files), GROUP)]))
                save_png(sheet, out / "grid.png", origin.grid(sheet) if origin else NO_TEXT)
    except MemoryError as error:
        hint = "; give a smaller --size" if size else ""
        raise UserError(f"images do not fit into memory{hint}") from error
    if not (settings or mixes or size or arguments.latents):
        print("note: nothing was changed; give --set NAME=VALUE, --mix or --size", file=sys.stderr)


def save_groups(out: Path, files: list[str], save: Callable[[slice], int], results: Results) -> None:
    """Save images in groups, and skip those that an interrupted run of the command has saved."""
    with counting(f"generating into {out}", len(files)) as advance:
        for first in range(0, len(files), GROUP):
            part = slice(first, first + GROUP)
            if not all((out / name).exists() for name in files[part]):
                results.values.pop(files[first], None)
            advance(results.get(files[first], partial(save, part), partial(operator.eq, len(files[part]))))
    results.remove()


def add_vectors_and_classes(model: Model, names: set[str], directions: Path, arguments: argparse.Namespace) -> None:
    """Add the directions and the classes of the run to the model, if `names` contains any."""
    from gan.latent import store
    from gan.recognition.classifier import ABOUT

    found = {name for name in names if re.fullmatch(DIRECTION, name)}
    if names - found:
        folder = options.recognition_folder(arguments)
        if arguments.recognition or (folder / ABOUT).is_file():
            model.attributes = class_attributes(arguments, folder) | model.attributes
    if (found or arguments.directions) and directions.is_file():
        model.vectors |= store.read_directions(directions, model.generator)


def parse_mix(word: str) -> tuple[int, tuple[int, int] | float]:
    """Parse a value of --mix: "12:4-8" -> (12, (4, 8)), "12:3" -> (12, (3, 3)), "12:0.5" -> (12, 0.5)."""
    found = re.fullmatch(r"(\d+):(?:(\d+)(?:-(\d+))?|(\d*\.\d+))", word)
    if not found:
        raise UserError(f"--mix {word}: write SEED:LAYERS, as in 12:4-8, or SEED:FRACTION, as in 12:0.5")
    seed, first, last, fraction = found.groups()
    return int(seed), float(fraction) if fraction else (int(first), int(last or first))
