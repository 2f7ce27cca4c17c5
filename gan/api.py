"""What Python code and notebooks call: `gan.train`, `gan.load`, `gan.translate`, `gan.Run`."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from PIL import Image

from gan import kinds
from gan.config import training_process
from gan.images.collection import Given
from gan.looks import names_look
from gan.model import from_checkpoint
from gan.models import address
from gan.models.address import checkpoint_of
from gan.models.loading import load_generator
from gan.runs import checkpoints, run_folder
from gan.runs.metrics import Objective, read_metrics
from gan.translation.translator import Translator, translate_by_look
from gan.utils.errors import UserError, path_hint


def load(run: str | os.PathLike[str], checkpoint: str = "best") -> Any:
    """Return the `gan.Model` of a run, or its `gan.Translator` if it translates images.

    For example: `gan.load("runs/first").sample(16)`.

    Args:
        run: a run folder, a checkpoint file, a folder written by `gan share`, zoo:NAME, a model of `gan zoo`, or
            hf://USER/NAME[@REVISION], a model on the Hugging Face Hub, or s3://BUCKET/runs/NAME, a run in S3.
        checkpoint: "best", "last" or the path of a file.

    Raises:
        UserError: the run or checkpoint does not exist, is damaged, or was not written by this program, or a model of
            an address cannot be downloaded.
    """
    if isinstance(run, str | os.PathLike) and names_look(os.fspath(run)):
        raise UserError(f"{run}: a look has no model; use gan.translate({run!r}, IMAGES)")
    path = checkpoint_of(address.locate(run), checkpoint)
    generator, state = load_generator(path)
    if kinds.of_network(generator) is kinds.GENERATOR:
        return from_checkpoint(path, generator, state)
    return Translator(generator, int(state["images"]), state["config"])


def translate(
    run: str | os.PathLike[str] | Translator, images: Given, **options: Any
) -> Image.Image | list[Image.Image]:
    """Return the translation of an image by a run or a look: `gan.translate("look:film", "photo.jpg")`.

    Args:
        run: what `gan.load` takes, or what it returned, which is faster for further images; or look:NAME; or a file
            with a color table, such as FILE.cube.
        images: a path, Pillow image, array or tensor, or several, see `gan.images.collection.to_pil_images`.
        options: as in `gan.translation.translator.Translator.translate`; for a look, as in
            `gan.translation.translator.translate_by_look`.

    Raises:
        UserError: the run is not a translator, the look is not known, or as `Translator.translate`.
    """
    if isinstance(run, str | os.PathLike) and names_look(os.fspath(run)):
        return translate_by_look(os.fspath(run), images, **options)
    translator = run if isinstance(run, Translator) else load(run)
    if not isinstance(translator, Translator):
        raise UserError(f"{run}: is not a translator; use gan.load(RUN).sample()")
    return translator.translate(images, **options)


def train(
    run: str | os.PathLike[str] | None = None,
    options: Mapping[str, Any] | None = None,
    *,
    code: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    config_dir: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **settings: Any,
) -> Run:
    """Train a GAN as `gan train` does, and return the run.

    For example: `run = gan.train(model="dcgan", data="folder", root="scans", minutes=5)`, then `run.model.sample(16)`.
    Training runs in a process of its own. An interrupt (Ctrl-C, or "stop" in a notebook) saves a checkpoint first.

    Args:
        run: folder of the run, which must not exist; the default is a new folder in runs/. With `resume=RUN`, leave
            it out.
        options: options by their names on the command line, for example {"model.generator.width": 32}.
        code: folder with your own networks, losses and other parts, or a list of such folders.
        config_dir: folder with your own configurations.
        quiet: print nothing.
        settings: options whose names have no dot, such as model, data, minutes, images, seed, loss and resume, and
            options of data without "data.", such as root, size, labels and batch_size. `resume=RUN` continues a run.

    Raises:
        UserError: an option is wrong, the images cannot be read, or training diverged.
        KeyboardInterrupt: training was interrupted. `resume=RUN` continues it.
    """
    folders: list[Any] = [] if code is None else list(code) if isinstance(code, list | tuple) else [code]
    flags = [f"--code={os.fspath(each)}" for each in folders]
    flags += [] if config_dir is None else [f"--config-dir={os.fspath(config_dir)}"]
    folder = training_process.train(run, settings | dict(options or {}), flags, quiet)
    return Run(folder)


class Run:
    """A run folder: `gan.Run("runs/first").model.sample(16)`.

    A notebook shows its numbers, the newest grid beside real images, curves and health. The folder is read each time,
    so that the run may still train.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        if not run_folder.is_run(self.path):
            inside = run_folder.hint_inside(self.path) if self.path.is_dir() else ""
            raise UserError(f"{self.path}: no such run folder{f'; {inside}' if inside else path_hint(self.path)}")
        self.config = run_folder.read_config(self.path)

    @cached_property
    def model(self) -> Any:
        """The model of the best checkpoint, as `gan.load`."""
        return load(self.path)

    @property
    def metrics(self) -> Sequence[Mapping[str, Any]]:
        """The logged values: a dict per line of metrics.jsonl, with the images seen, for `pandas.DataFrame`."""
        return read_metrics(self.path / run_folder.METRICS)

    def __fspath__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        saved, objective = checkpoints.list_checkpoints(self.path), Objective.of(self.config)
        images = f"{checkpoints.images_of(saved[-1]):,} images seen" if saved else "no checkpoint"
        best = objective.best(self.metrics)
        return f"<gan.Run {self.path}: {images}{f', best {objective.name} {best:.4g}' if math.isfinite(best) else ''}>"

    def _repr_html_(self) -> str:
        from gan.report import one_run, page  # matplotlib and jinja2

        return f"<style>{page.style()}</style>{one_run.watch(self.path)}"


def show(run: str | os.PathLike[str]) -> Run:
    """Show a run in a notebook: `gan.show("runs/first")` at the end of a cell. It may still be training."""
    return Run(run)
