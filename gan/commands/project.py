"""Project images to latents of a trained run: find the latents whose generated images are most similar to the images.

The command writes latents.safetensors for gan edit --latents, a PNG of each image beside its projection, and scores.csv
to DIR. Rerun an interrupted command to continue it. The exit code is 3 if some files could not be read.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan.commands import options
from gan.commands.options import SOME_UNREADABLE
from gan.common import digest
from gan.common.errors import UserError, at_least, writing
from gan.common.files import file_name, write_atomically
from gan.common.output import counted, counting
from gan.run.address import with_addresses
from gan.run.run_folder import LATENTS_FILE, PROJECTED

if TYPE_CHECKING:
    from torch import Tensor

    from gan.model import Model

SCORES = "scores.csv"
COLUMNS = ["file", "psnr", "ssim", "perceptual"]
GROUP = 16  # images that are projected and saved together
FPS = 15


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_run(parser)
    parser.add_argument(
        "images", type=options.existing_path, metavar="IMAGES", help="image, or folder or zip archive of images"
    )
    options.add_out(parser, "output folder; created if missing", default=PROJECTED)
    parser.add_argument("--space", default="", metavar="z|w|w+", help="latent space to search; w+ has a separate w for "
                        "each layer (default: w if the model has a mapping network, else z)")  # fmt: skip
    parser.add_argument("--starts", type=int, default=8, help="initial latents per image (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=300, help="steps of Adam, at least 10 (default: %(default)s)")
    parser.add_argument("--gif", action="store_true", help="also save the optimization of each image as a GIF")
    options.add_class(parser, "the class with the most similar projection")
    options.add_metadata(parser)
    options.add_weights(parser)
    options.add_force(parser, "project again and overwrite existing latents in DIR")


def run(arguments: argparse.Namespace) -> int:
    at_least("--starts", arguments.starts, 1)
    at_least("--steps", arguments.steps, 10)
    out = arguments.out = options.out_in_run(arguments.run, arguments.out, PROJECTED)
    options.refuse_existing(out, [], arguments.force)

    from gan.inference.inputs import decode_images, find_images
    from gan.inference.translate_files import refuse_inside
    from gan.latent.projection import num_passes

    if arguments.images.is_dir():
        refuse_inside(out, arguments.images, "--out ")
    files = find_images(arguments.images)
    folder = OutputFolder(options.load_model(arguments), arguments)
    images, broken = decode_images(files, folder.model.config["data"])
    todo = [name for name in images if folder.digests.get(name) != digest.of_tensor(images[name])]
    if len(todo) < len(images):
        gifs = ", even if they have no GIF" if arguments.gif else ""
        print(f"{len(images) - len(todo)} images are already projected and are skipped{gifs}; use --force to repeat")
    if changed := [name for name in todo if name in folder.latents]:
        print(f"{len(changed)} images have changed since they were projected, and are projected again")
    with writing(out, "; files already written are complete"):
        total = num_passes(len(todo), arguments.starts, arguments.steps, arguments.space == "w+")
        with counting(f"projecting {counted(len(todo), 'image')} into {out}, in steps", total) as advance:
            for first in range(0, len(todo), GROUP):
                folder.project({name: images[name] for name in todo[first : first + GROUP]}, advance)
        if images:
            folder.score(images)
            run, latents = with_addresses(arguments.run), str(out / LATENTS_FILE)
            words = ["gan", "edit", run, "--latents", latents, "--set", "brightness=1", "--out", "edited"]
            print(f"edit them with {shlex.join(words)}")
    for line in broken:
        print(line, file=sys.stderr)
    return SOME_UNREADABLE if broken else 0


class OutputFolder:
    """The output folder, with the latents found so far."""

    def __init__(self, model: Model, arguments: argparse.Namespace) -> None:
        from gan.latent import vector_files
        from gan.latent.projection import describe_options
        from gan.latent.space import Space
        from gan.sharing.provenance import Origin

        self.model = model
        self.arguments = arguments
        self.out: Path = arguments.out
        about = {name: getattr(arguments, name) for name in ("space", "starts", "steps")}
        self.origin = None if arguments.no_metadata else Origin(model.generator, model.images, **about)
        self.space = Space(model.generator)
        self.options = describe_options(arguments.space, arguments.starts, arguments.steps, arguments.label)
        self.latents: dict[str, Tensor] = {}
        self.labels: dict[str, int] = {}
        self.digests: dict[str, str] = {}
        if (self.out / LATENTS_FILE).exists() and not arguments.force:
            (self.latents, _, about), self.labels = vector_files.read_latents(self.out / LATENTS_FILE, model.generator)
            if about.get("options") != self.options:
                raise UserError(
                    f"{self.out / LATENTS_FILE}: was made with {about.get('options')}; use --force to project again"
                )
            self.digests = vector_files.by_name(about, "digests", self.out / LATENTS_FILE)

    def project(self, images: dict[str, Tensor], advance: Callable[[int], None]) -> None:
        """Project further images, and write all latents found so far."""
        import torch

        from gan.images import video
        from gan.images.collection import Images
        from gan.images.convert import grid, save_png
        from gan.images.files import KEY
        from gan.latent import vector_files

        targets, given = torch.stack(list(images.values())), self.arguments
        found = self.model.project(Images(targets), given.space, given.starts, given.steps, given.label, advance)
        self.latents |= dict(zip(images, found.latents, strict=True))
        self.digests |= {name: digest.of_tensor(image) for name, image in images.items()}
        if found.labels is not None:
            self.labels |= dict(zip(images, found.labels.tolist(), strict=True))
        for n, (name, projected) in enumerate(zip(images, self.synthesize(list(images)), strict=True)):
            sheet, text = grid(torch.stack([images[name], projected]), 2), self.describe(name)
            save_png(sheet, self.out / file_name(name, ".png"), text("projection", sheet))
            if given.gif:
                label = None if found.labels is None else found.labels[n].expand(len(found.trajectory))
                frames = self.space.render_uint8(found.trajectory[:, n], label)
                path = self.out / file_name(name, ".gif")
                video.save(frames, path, FPS, text=text("optimization").get(KEY))
        about = {"labels": json.dumps(self.labels), "digests": json.dumps(self.digests), "options": self.options}
        vector_files.write(self.out / LATENTS_FILE, self.latents, self.space, **about)

    def describe(self, name: str) -> Callable[..., dict[str, str]]:
        """Return the function that describes the origin of the files of an image, as a chunk of text.

        Its arguments are a kind of `gan.sharing.record`, and the file's pixels uint8 (C, H, W) if it is lossless.
        """
        import torch

        from gan.images.files import KEY
        from gan.sharing.provenance import class_names

        if (origin := self.origin) is None:
            return lambda kind, sheet=None: {}
        label = torch.tensor([self.labels[name]]) if self.labels else None
        fields: dict[str, Any] = {"latent": digest.of_tensor(self.latents[name]), "target": self.digests[name]}
        fields |= {"class": class_names(self.model.classes, label, 1)[0]}
        return lambda kind, sheet=None: {KEY: origin.text(sheet, kind=kind, **fields)}

    def synthesize(self, names: list[str]) -> Tensor:
        """Return the generated images uint8 (N, C, H, W) of the latents of `names`."""
        import torch

        labels = torch.tensor([self.labels[name] for name in names]) if self.labels else None
        return self.space.render_uint8(torch.stack([self.latents[name] for name in names]), labels)

    def score(self, images: dict[str, Tensor]) -> None:
        """Write the similarity of each image and its projection to the table, and print the medians.

        Scores of other images stay in the table.
        """
        import torch

        from gan.metrics.pairs import psnr, ssim
        from gan.metrics.perceptual import PerceptualDistance

        pair = torch.stack(list(images.values())), self.synthesize(list(images))
        scores = {"psnr": psnr(*pair), "ssim": ssim(*pair), "perceptual": PerceptualDistance()(*pair)}
        rows = {row["file"]: row for row in self.read_scores() if row["file"] in self.latents}
        for name, *values in zip(images, *scores.values(), strict=True):
            numbers = (f"{float(value):.4f}" for value in values)
            rows[name] = {"file": name, **dict(zip(scores, numbers, strict=True))}
        text = StringIO()
        table = csv.DictWriter(text, COLUMNS)
        table.writeheader()
        table.writerows(rows.values())
        write_atomically(self.out / SCORES, lambda file: file.write(text.getvalue().encode()))
        medians = ", ".join(f"{name} {float(values.median()):.3f}" for name, values in scores.items())
        print(f"{len(images)} images, medians: {medians}")

    def read_scores(self) -> list[dict[str, str]]:
        """Return the rows of an existing table of scores; none if there is no valid table."""
        if not (self.out / SCORES).is_file():
            return []
        try:
            with open(self.out / SCORES, newline="") as file:
                rows = list(csv.DictReader(file))
        except (ValueError, csv.Error):  # the file was not written by this command
            return []
        return [row for row in rows if list(row) == COLUMNS and None not in row.values()]
