"""Find latent directions in which the images of a trained run change, and save an image sheet for each direction."""

from __future__ import annotations

import argparse
import json
import shlex

from gan.commands import options, outputs
from gan.models.address import with_addresses
from gan.runs.run_folder import DIRECTIONS, DIRECTIONS_FILE
from gan.utils.errors import UserError, writing
from gan.utils.files import file_name, refuse_existing
from gan.utils.output import counting, print_aligned, print_line

STEPS = (-3, -2, -1, 0, 1, 2, 3)  # columns of a sheet, in standard deviations


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    parser.add_argument("--sefa", type=int, default=8, metavar="N", help="number of directions of SeFa, from the "
                        "weights (default: %(default)s)")  # fmt: skip
    parser.add_argument("--pca", type=int, default=8, metavar="N", help="number of directions of GANSpace, from the "
                        "principal components of many samples (default: %(default)s)")  # fmt: skip
    options.add_seeds(parser, "0-3", "seeds of the rows of each sheet")
    options.add_out(parser, f"folder for {DIRECTIONS_FILE} and the sheets (default: RUN/{DIRECTIONS})", required=False)
    options.add_class(parser, "the first class for directions, the class of each seed for sheets")
    options.add_weights(parser)
    options.add_force(parser, "overwrite existing directions")


def run(arguments: argparse.Namespace) -> None:
    out = outputs.out_in_run(arguments.run, arguments.out, DIRECTIONS)
    refuse_existing([out / DIRECTIONS_FILE], arguments.force)
    if min(arguments.sefa, arguments.pca) < 0 or not arguments.sefa + arguments.pca:
        raise UserError("--sefa and --pca: give at least one direction")

    import torch

    from gan.editing import vector_files
    from gan.editing.directions import NUM_MEASURED, effects
    from gan.editing.space import Space
    from gan.images.convert import grid, save_png

    model = options.load_model(arguments)
    space = Space(model.generator)
    latents, labels = model.latents(arguments.seeds, arguments.label)
    vectors = model.directions(arguments.sefa, arguments.pca, arguments.label)
    changed = effects(space, vectors, model.labels_of(list(range(NUM_MEASURED)), arguments.label))
    with writing(out):
        with counting(f"saving sheets in {out}", len(vectors)) as advance:
            for name, vector in vectors.items():
                columns = [space.render_uint8(latents + step * vector, labels) for step in STEPS]
                sheet = grid(torch.stack(columns, 1).flatten(0, 1), len(columns))
                save_png(sheet, out / file_name(name, ".png"))
                advance(1)
        # last: if it exists, all other files are complete
        vector_files.write(out / DIRECTIONS_FILE, vectors, space, effects=json.dumps(changed))
    if changed:
        print_aligned(("direction", "changes most"), [*changed.items()])
    words = ["gan", "edit", with_addresses(arguments.run), "--set", f"{next(iter(vectors))}=2", "--grid"]
    words += ["--directions", str(out / DIRECTIONS_FILE)] if arguments.out else []
    print_line(f"try {shlex.join(words)}")
