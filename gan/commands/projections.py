"""The output folder of gan project: latents, a sheet for each image, and a table of scores."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan.editing import vector_files
from gan.editing.projection import describe_options
from gan.editing.projection import num_passes as num_passes
from gan.editing.space import Space
from gan.export.provenance import Origin
from gan.images import video
from gan.images.collection import Images
from gan.images.convert import grid, save_png
from gan.images.files import KEY
from gan.metrics.pairs import psnr, ssim
from gan.metrics.perceptual import PerceptualDistance
from gan.model import Model
from gan.runs.run_folder import LATENTS_FILE
from gan.utils import digest
from gan.utils.errors import UserError
from gan.utils.files import file_name, without_formula, write_atomically

SCORES = "scores.csv"
FPS = 15


class OutputFolder:
    """The output folder, with the latents found so far.

    Args:
        request: a `gan.commands.project.Request`.
    """

    def __init__(self, model: Model, out: Path, request: Any) -> None:
        self.model, self.out, self.request = model, out, request
        fields = {"space": request.space, "starts": request.starts, "steps": request.steps}
        self.origin = None if request.no_metadata else Origin(model.generator, model.images, **fields)
        self.space = Space(model.generator)
        self.options = describe_options(request.space, request.starts, request.steps, request.label)
        self.latents: dict[str, Tensor] = {}
        self.labels: dict[str, int] = {}
        self.digests: dict[str, str] = {}
        file = out / LATENTS_FILE
        if file.exists() and not request.force:
            (self.latents, _, about), self.labels = vector_files.read_latents(file, model.generator)
            if about.get("options") != self.options:
                raise UserError(f"{file}: was made with {about.get('options')}; use --force to project again")
            self.digests = vector_files.by_name(about, "digests", file)

    def project(self, images: dict[str, Tensor], advance: Callable[[int], None]) -> None:
        """Project further images, and write all latents found so far."""
        request, targets = self.request, torch.stack(list(images.values()))
        length = request.starts, request.steps
        projected = self.model.project(Images(targets), request.space, *length, request.label, advance)
        self.latents |= dict(zip(images, projected.latents, strict=True))
        self.digests |= {name: digest.of_tensor(image) for name, image in images.items()}
        if projected.labels is not None:
            self.labels |= dict(zip(images, projected.labels.tolist(), strict=True))
        for n, (name, image) in enumerate(zip(images, self.synthesize(list(images)), strict=True)):
            sheet = grid(torch.stack([images[name], image]), 2)
            text = self.describe(name, "projection", sheet)
            save_png(sheet, self.out / file_name(name, ".png"), {KEY: text} if text else {})
            if request.gif:
                label = None if projected.labels is None else projected.labels[n].expand(len(projected.trajectory))
                frames = self.space.render_uint8(projected.trajectory[:, n], label)
                video.save(frames, self.out / file_name(name, ".gif"), FPS, text=self.describe(name, "optimization"))
        about = {"labels": json.dumps(self.labels), "digests": json.dumps(self.digests), "options": self.options}
        vector_files.write(self.out / LATENTS_FILE, self.latents, self.space, **about)

    def describe(self, name: str, kind: str, sheet: Tensor | None = None) -> str | None:
        """Return the record of a file of an image; None if none is wanted.

        Args:
            sheet: the file's pixels uint8 (C, H, W) if it is lossless.
        """
        if self.origin is None:
            return None
        label = self.model.classes[self.labels[name]] if self.labels else None
        fields: dict[str, Any] = {"latent": digest.of_tensor(self.latents[name]), "target": self.digests[name]}
        return self.origin.text(sheet, kind=kind, **fields, **{"class": label})

    def synthesize(self, names: list[str]) -> Tensor:
        """Return the generated images uint8 (N, C, H, W) of the latents of `names`."""
        labels = torch.tensor([self.labels[name] for name in names]) if self.labels else None
        return self.space.render_uint8(torch.stack([self.latents[name] for name in names]), labels)

    def score(self, images: dict[str, Tensor]) -> None:
        """Write the similarity of each image and its projection to the table, and print the medians.

        Scores of other images stay in the table.
        """
        pair = torch.stack(list(images.values())), self.synthesize(list(images))
        scores = {"psnr": psnr(*pair), "ssim": ssim(*pair), "perceptual": PerceptualDistance()(*pair)}
        rows = self.read_scores()
        rows |= {without_formula(name): [f"{float(value):.4f}" for value in values]
                 for name, *values in zip(images, *scores.values(), strict=True)}  # fmt: skip
        text = StringIO()
        table = csv.writer(text)
        table.writerow(["file", *scores])
        known = set(map(without_formula, self.latents))
        table.writerows([name, *values] for name, values in rows.items() if name in known)
        write_atomically(self.out / SCORES, lambda file: file.write(text.getvalue().encode()))
        medians = ", ".join(f"{name} {float(values.median()):.3f}" for name, values in scores.items())
        print(f"{len(images)} images, medians: {medians}")

    def read_scores(self) -> dict[str, list[str]]:
        """Return the rows of an existing table of scores by image; none if it cannot be read."""
        try:
            with open(self.out / SCORES, newline="") as file:
                return {row[0]: row[1:] for row in csv.reader(file) if row}
        except (OSError, ValueError, csv.Error):
            return {}
