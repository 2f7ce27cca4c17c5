"""Find the latents of images: those whose pictures by a trained run are nearest to them.

DIR gets latents.safetensors for gan edit --latents, a picture of each image beside what was found, and scores.csv. An
interrupted command goes on when it is given again. The exit code is 3 where some files could not be read.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from gan.commands.generate import choose_model, chosen_model, refuse_existing
from gan.commands.given import decoded, of
from gan.commands.translate import SOME_UNREADABLE, refuse_inside
from gan.common.errors import UserError, at_least, writing
from gan.common.files import write_atomically
from gan.common.names import file_name
from gan.common.progress import counting

if TYPE_CHECKING:
    from torch import Tensor

    from gan.model import Model

FILE = "latents.safetensors"
SCORES = "scores.csv"
COLUMNS = ["file", "psnr", "ssim", "perceptual"]
GROUP = 16  # images that are projected and saved together
RATE = 15  # frames a second


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", help="run folder or checkpoint file")
    parser.add_argument("images", type=Path, help="an image, or a folder or zip archive of them")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="made if missing")
    parser.add_argument(
        "--space",
        default="",
        metavar="z|w|w+",
        help="w+ has a point for each layer; w where there is one, if not given",
    )
    parser.add_argument("--starts", type=int, default=8, help="points to begin from (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=300, help="of Adam (default: %(default)s)")
    parser.add_argument("--gif", action="store_true", help="also the way to each image")
    parser.add_argument("--class", dest="label", metavar="NAME", help="to draw them as; else what fits best")
    choose_model(parser)
    parser.add_argument("--force", action="store_true", help="begin anew where DIR has latents")


def run(arguments: argparse.Namespace) -> int:
    at_least("--starts", arguments.starts, 1)
    at_least("--steps", arguments.steps, 10)
    out: Path = arguments.out
    refuse_existing(out, [], arguments.force)
    if arguments.images.is_dir():
        refuse_inside(out, arguments.images, "--out ")
    files = of(arguments.images)

    from gan.evaluation.generator import digest_of
    from gan.latent.projection import passes

    work = Work(chosen_model(arguments), arguments)
    images, broken = decoded(files, work.model.config["data"])
    todo = [name for name in images if work.digests.get(name) != digest_of(images[name]).hex()]
    if len(todo) < len(images):
        gifs = ", without a GIF where they had none" if arguments.gif else ""
        print(f"{len(images) - len(todo)} images have been projected and stay{gifs}; --force begins anew")
    if changed := [name for name in todo if name in work.points]:
        print(f"{len(changed)} images are others than those of their names that have been projected: anew")
    with writing(out, "; what is there is whole"):
        total = passes(len(todo), arguments.starts, arguments.steps, arguments.space == "w+")
        with counting(f"projecting into {out}", total) as advance:
            for first in range(0, len(todo), GROUP):
                work.take({name: images[name] for name in todo[first : first + GROUP]}, advance)
        if images:
            work.score(images)
    for line in broken:
        print(line, file=sys.stderr)
    return SOME_UNREADABLE if broken else 0


class Work:
    """What has been found, in the folder that it is written to."""

    def __init__(self, model: Model, arguments: argparse.Namespace) -> None:
        from gan.latent import store
        from gan.latent.space import Space

        self.model = model
        self.arguments = arguments
        self.out: Path = arguments.out
        self.space = Space(model.generator)
        names = ("space", "starts", "steps", "label")
        self.options = " ".join(f"{name}={getattr(arguments, name) or 'any'}" for name in names)
        self.points: dict[str, Tensor] = {}
        self.labels: dict[str, int] = {}
        self.digests: dict[str, str] = {}
        if (self.out / FILE).exists() and not arguments.force:
            (self.points, _, about), self.labels = store.read_latents(self.out / FILE, model.generator)
            if about.get("options") != self.options:
                raise UserError(f"{self.out / FILE}: was made with {about.get('options')}; --force begins anew")
            self.digests = store.by_name(about, "digests", self.out / FILE)

    def take(self, images: dict[str, Tensor], advance: Callable[[int], None]) -> None:
        """Find the points of some more images and write all that there is of them."""
        import torch

        from gan.evaluation.generator import digest_of
        from gan.images import animation
        from gan.images.convert import grid, save_png
        from gan.latent import store

        targets, options = torch.stack(list(images.values())), self.arguments
        found = self.model.project(targets, options.space, options.starts, options.steps, options.label, advance)
        self.points |= dict(zip(images, found.points, strict=True))
        self.digests |= {name: digest_of(image).hex() for name, image in images.items()}
        if found.labels is not None:
            self.labels |= dict(zip(images, found.labels.tolist(), strict=True))
        for n, (name, drawn) in enumerate(zip(images, self.draw(list(images)), strict=True)):
            save_png(grid(torch.stack([images[name], drawn]), 2), self.out / file_name(name, ".png"))
            if options.gif:
                label = None if found.labels is None else found.labels[n].expand(len(found.way))
                animation.save(self.space.draw(found.way[:, n], label), self.out / file_name(name, ".gif"), RATE)
        about = {"labels": json.dumps(self.labels), "digests": json.dumps(self.digests), "options": self.options}
        store.write(self.out / FILE, self.points, self.space, **about)

    def draw(self, names: list[str]) -> Tensor:
        """uint8 (N, C, H, W), the pictures of points that were found."""
        import torch

        labels = torch.tensor([self.labels[name] for name in names]) if self.labels else None
        return self.space.draw(torch.stack([self.points[name] for name in names]), labels)

    def score(self, images: dict[str, Tensor]) -> None:
        """Write and sum up how near the pictures found are to the images; what was written of others stays."""
        import torch

        from gan.metrics.pairs import PerceptualDistance, psnr, ssim

        pair = torch.stack(list(images.values())), self.draw(list(images))
        scores = {"psnr": psnr(*pair), "ssim": ssim(*pair), "perceptual": PerceptualDistance()(*pair)}
        rows = {row["file"]: row for row in self.scored() if row["file"] in self.points}
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

    def scored(self) -> list[dict[str, str]]:
        """The table as it was written before."""
        if not (self.out / SCORES).is_file():
            return []
        try:
            with open(self.out / SCORES, newline="") as file:
                rows = list(csv.DictReader(file))
        except (ValueError, csv.Error):  # not of this command
            return []
        return [row for row in rows if list(row) == COLUMNS and None not in row.values()]
