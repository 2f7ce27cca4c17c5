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

from gan.editing import projection, vector_files
from gan.editing.space import Space
from gan.images.collection import Images
from gan.images.convert import grid, save_png
from gan.metrics.pairs import psnr, ssim
from gan.metrics.perceptual import PerceptualDistance
from gan.model import Model
from gan.runs.run_folder import LATENTS_FILE
from gan.utils import digest
from gan.utils.errors import UserError
from gan.utils.files import file_name, without_formula, write_bytes

SCORES = "scores.csv"


class OutputFolder:
    """The output folder of a `gan.commands.project.Request`, with the latents found so far."""

    def __init__(self, model: Model, out: Path, request: Any) -> None:
        self.model, self.out, self.request = model, out, request
        self.space = Space(model.generator)
        # Files of latents store the options, and only equal ones continue them.
        self.options = f"space={request.space or 'any'} starts={request.starts} steps={request.steps} "
        self.options += f"label={request.label or 'any'}"
        self.latents: dict[str, Tensor] = {}
        self.labels: dict[str, int] = {}
        self.digests: dict[str, str] = {}
        file = out / LATENTS_FILE
        if file.exists() and not request.force:
            self.latents, self.labels, about = vector_files.read_latents(file, model.generator)
            if about.get("options") != self.options:
                raise UserError(f"{file}: was made with {about.get('options')}; use --force to project again")
            self.digests = vector_files.by_name(about, "digests", file)

    def num_passes(self, n: int) -> int:
        """Return the number of passes with which `project` calls `advance` for n images."""
        return projection.num_passes(n, self.request.starts, self.request.steps, self.request.space == "w+")

    def project(self, images: dict[str, Tensor], advance: Callable[[int], None]) -> None:
        """Project further images, and write all latents found so far."""
        request, targets = self.request, torch.stack(list(images.values()))
        length = request.starts, request.steps
        projected = self.model.project(Images(targets), request.space, *length, request.label, advance)
        self.latents |= dict(zip(images, projected.latents, strict=True))
        self.digests |= {name: digest.of_tensor(image) for name, image in images.items()}
        if projected.labels is not None:
            self.labels |= dict(zip(images, projected.labels.tolist(), strict=True))
        for (name, target), image in zip(images.items(), self.synthesize(list(images)), strict=True):
            save_png(grid(torch.stack([target, image]), 2), self.out / file_name(name.removesuffix(".png"), ".png"))
        about = {"labels": json.dumps(self.labels), "digests": json.dumps(self.digests), "options": self.options}
        vector_files.write(self.out / LATENTS_FILE, self.latents, self.space, **about)

    def synthesize(self, names: list[str]) -> Tensor:
        labels = torch.tensor([self.labels[name] for name in names]) if self.labels else None
        return self.space.render_uint8(torch.stack([self.latents[name] for name in names]), labels)

    def score(self, images: dict[str, Tensor]) -> None:
        """Write a table of the similarity of each image and its projection, and print the medians."""
        pair = torch.stack(list(images.values())), self.synthesize(list(images))
        scores = {"psnr": psnr(*pair), "ssim": ssim(*pair), "perceptual": PerceptualDistance()(*pair)}
        text = StringIO()
        table = csv.writer(text)
        table.writerow(["file", *scores])
        for name, *values in zip(images, *scores.values(), strict=True):
            table.writerow([without_formula(name), *(f"{float(value):.4f}" for value in values)])
        write_bytes(self.out / SCORES, text.getvalue().encode())
        medians = ", ".join(f"{name} {float(values.median()):.3f}" for name, values in scores.items())
        print(f"{len(images)} images, medians: {medians}")
