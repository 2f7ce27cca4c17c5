"""Find latent directions in which the images of a trained run change, and save an image sheet for each direction."""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan.commands import options
from gan.commands.options import Results
from gan.models.address import with_addresses
from gan.runs.run_folder import DIRECTIONS, DIRECTIONS_FILE
from gan.utils.errors import UserError, writing
from gan.utils.files import file_name, write_atomically
from gan.utils.output import counting

if TYPE_CHECKING:
    from torch import Tensor

    from gan.editing.attributes import Effect

ATTRIBUTES = "attributes.json"
STEPS = (-3, -2, -1, 0, 1, 2, 3)  # columns of a direction's sheet, in standard deviations
SETTINGS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # columns of an attribute's sheet


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    parser.add_argument("--sefa", type=int, default=8, metavar="N", help="number of directions of SeFa, from the "
                        "weights (default: %(default)s)")  # fmt: skip
    parser.add_argument("--pca", type=int, default=8, metavar="N", help="number of directions of GANSpace, from the "
                        "principal components of many samples (default: %(default)s)")  # fmt: skip
    options.add_seeds(parser, "0-3", "seeds of the rows of each sheet")
    options.add_out(parser, f"folder for {DIRECTIONS_FILE} and the sheets (default: RUN/{DIRECTIONS})", required=False)
    options.add_class(parser, "the first class for directions, the class of each seed for sheets")
    parser.add_argument("--attributes", type=int, default=0, metavar="N", help="also measure the effect of each "
                        f"attribute of gan edit --set over N images, such as 256, and write {ATTRIBUTES}")  # fmt: skip
    options.add_recognition(parser, "folder of gan recognize fit; with --attributes, also measure its classes")
    options.add_weights(parser)
    options.add_force(parser, "overwrite existing directions")


def run(arguments: argparse.Namespace) -> None:
    out = options.out_in_run(arguments.run, arguments.out, DIRECTIONS)
    if not arguments.force:
        options.refuse_existing_file(out / DIRECTIONS_FILE)
    if min(arguments.sefa, arguments.pca) < 0 or not arguments.sefa + arguments.pca:
        raise UserError("--sefa and --pca: give at least one direction")
    if arguments.attributes and arguments.attributes < 2:
        raise UserError(f"--attributes {arguments.attributes}: give at least 2 images")
    if arguments.recognition and not arguments.attributes:
        raise UserError("--recognition: give --attributes N too")

    from gan.editing import attributes, position, vector_files
    from gan.editing.space import Space
    from gan.recognition import classifier

    model = options.load_model(arguments)
    weights = []
    if arguments.recognition:
        device = options.prepare_device(arguments)
        classes = classifier.load(arguments.run, arguments.checkpoint, arguments.recognition, device).attributes()
        model.attributes = classes | model.attributes
        weights = [arguments.recognition / classifier.WEIGHTS]
    space = Space(model.generator)
    results = Results(out, arguments, vector_files.fingerprint(model.generator), *weights)
    latents, labels = model.latents(arguments.seeds, arguments.label)
    vectors = model.directions(arguments.sefa, arguments.pca, arguments.label)
    with writing(out):
        (out / ATTRIBUTES).unlink(missing_ok=True)  # it is outdated if --force overwrites directions
        with counting(f"saving sheets in {out}", len(vectors)) as advance:
            for name, vector in vectors.items():
                columns = [space.render_uint8(latents + step * vector, labels) for step in STEPS]
                save_sheet(out / file_name(name, ".png"), columns)
                advance(1)
        if arguments.attributes:
            names, measured = (*model.attributes, *position.POSITIONS), {}
            effect = model.attribute_effects(arguments.attributes)
            with counting(f"measuring attributes over {arguments.attributes} images", len(names)) as advance:
                for name in names:
                    measured[name] = attributes.Effect(**results.get(name, partial(as_dict, effect, name)))
                    advance(1)
            for name in names:
                edited = [model.edit(latents, labels, **{name: value}) for value in SETTINGS]
                save_sheet(out / file_name(name, ".png"), [space.render_uint8(each, labels) for each in edited])
            text = json.dumps({name: each._asdict() for name, each in measured.items()}, indent=1)
            write_atomically(out / ATTRIBUTES, lambda file: file.write(text.encode()))
            print("\n".join(attributes.table(measured)))
        vector_files.write(out / DIRECTIONS_FILE, vectors, space)  # last: if it exists, all other files are complete
        results.remove()
    name = next(iter(vectors))
    is_default = options.results_of(arguments.run) / DIRECTIONS == out  # where gan edit looks
    other = "" if is_default else f" --directions {shlex.quote(str(out / DIRECTIONS_FILE))}"
    print(f"try gan edit {shlex.quote(with_addresses(arguments.run))} --set {name}=2 --grid{other}")


def as_dict(effect: Callable[[str], Effect], name: str) -> dict[str, Any]:
    return effect(name)._asdict()


def save_sheet(path: Path, columns: list[Tensor]) -> None:
    """Save a sheet as PNG. Each of `columns` is uint8 (rows, C, H, W)."""
    import torch

    from gan.images.convert import grid, save_png

    save_png(grid(torch.stack(columns, 1).flatten(0, 1), len(columns)), path)
