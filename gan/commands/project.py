"""Project images to latents of a trained run: find the latents whose generated images are most similar to the images.

The command writes latents.safetensors for gan edit --latents, a PNG of each image beside its projection, and scores.csv
to DIR. Rerun an interrupted command to continue it. The exit code is 3 if some files could not be read.
"""

from __future__ import annotations

import argparse
import shlex
from dataclasses import dataclass
from pathlib import Path

from gan.commands import options, outputs
from gan.models.address import with_addresses
from gan.runs.run_folder import LATENTS_FILE, PROJECTED
from gan.utils import digest
from gan.utils.errors import writing
from gan.utils.output import counted, counting, print_line

GROUP = 16  # images that are projected and saved together


@dataclass(frozen=True, kw_only=True)
class Request(options.Weights):
    """What to project, and how."""

    images: Path
    out: Path | None
    space: str
    starts: int
    steps: int
    label: str | None
    force: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    options.add_images(parser)
    options.add_out(parser, "output folder; created if missing", default=PROJECTED)
    parser.add_argument("--space", default="", metavar="w+", help="latent space to search; w+ has a separate w for "
                        "each layer (default: w if the model has a mapping network, else z)")  # fmt: skip
    parser.add_argument("--starts", type=int, default=8, help="initial latents per image (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=300, help="steps of Adam, at least 10 (default: %(default)s)")
    options.add_class(parser, "the class with the most similar projection")
    options.add_weights(parser)
    options.add_force(parser, "project again and overwrite existing latents in DIR")


def run(request: Request) -> int:
    out = outputs.out_in_run(request.run, request.out, PROJECTED)

    from gan.commands import projections
    from gan.images.collection import decode_images, find_images
    from gan.translation.translate_files import refuse_inside

    if request.images.is_dir():
        refuse_inside(out, request.images, "--out ")
    files = find_images(request.images)
    folder = projections.OutputFolder(options.load_model(request), out, request)
    images, broken = decode_images(files, folder.model.config["data"])
    todo = [name for name in images if folder.digests.get(name) != digest.of_tensor(images[name])]
    if len(todo) < len(images):
        print(f"{len(images) - len(todo)} images are already projected and are skipped; use --force to repeat")
    if changed := [name for name in todo if name in folder.latents]:
        print(f"{len(changed)} images have changed since they were projected, and are projected again")
    with writing(out, "; files already written are complete"):
        title = f"projecting {counted(len(todo), 'image')} into {out}, in steps"
        with counting(title, folder.num_passes(len(todo))) as advance:
            for first in range(0, len(todo), GROUP):
                folder.project({name: images[name] for name in todo[first : first + GROUP]}, advance)
        if images:
            folder.score(images)
            run, latents = with_addresses(request.run), str(out / LATENTS_FILE)
            words = ["gan", "edit", run, "--latents", latents, "--set", "brightness=1", "--out", "edited"]
            print_line(f"edit them with {shlex.join(words)}")
    return outputs.report_failed(broken, len(files), "read")
