"""Grids of images of fixed latents by the EMA generator during training."""

from __future__ import annotations

from pathlib import Path

from lightning import Callback, Trainer

from gan.common.errors import at_least, reason
from gan.common.files import write_atomically
from gan.common.output import print_line
from gan.images.convert import grid, to_png
from gan.run.lock import is_lost
from gan.run.run_folder import SAMPLES
from gan.training.callbacks.interrupt import due
from gan.training.loggers import TensorBoard
from gan.training.module import GAN


class Samples(Callback):
    """Writes samples/<images seen>.png and TensorBoard's "samples", and once samples/reals.png for comparison.

    Args:
        run: the run folder.
        interval: images between two grids; there is also one at the end.
        first: images before the first grid; the interval doubles from there to `interval`.
        num_images: images per grid.
    """

    def __init__(self, run: str, interval: int, first: int, num_images: int = 64) -> None:
        self.folder = Path(run) / SAMPLES
        self.interval = at_least("callback.samples.interval", interval, 1)
        self.first = at_least("callback.samples.first", first, 1)
        self.num_images = at_least("callback.samples.num_images", num_images, 1)
        self.last: Path | None = None  # the newest grid, for the progress bar

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        if trainer.is_global_zero and not (self.folder / "reals.png").exists():
            write(to_png(grid(trainer.datamodule.preview(self.num_images))), self.folder / "reals.png")  # type: ignore[attr-defined]

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        if due(trainer, pl_module, self.interval, self.first):
            self.show(trainer, pl_module)

    def show(self, trainer: Trainer, pl_module: GAN) -> None:
        """Write a grid."""
        pl_module.averaged_generator()  # on all ranks, which estimate synchronized BatchNorm together
        if not trainer.is_global_zero or is_lost(self.folder.parent):
            return
        png = to_png(grid(pl_module.preview(self.num_images), pl_module.columns(self.num_images)))
        self.last = self.path(pl_module)
        write(png, self.last)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoard):
                logger.add_png("samples", png, pl_module.images_seen)

    def path(self, pl_module: GAN) -> Path:
        return self.folder / f"{pl_module.images_seen:09d}.png"


def write(png: bytes, path: Path) -> None:
    """Write a file; if the disk is full, print a line and continue training."""
    try:
        write_atomically(path, lambda file: file.write(png))
    except OSError as error:
        print_line(f"{path}: not written ({reason(error)}); training continues")
