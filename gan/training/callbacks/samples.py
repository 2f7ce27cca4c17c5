"""Pictures while training: a grid of fixed latents through the averaged generator."""

from __future__ import annotations

from pathlib import Path

from lightning import Callback, Trainer

from gan.common.errors import at_least, reason
from gan.common.files import write_atomically
from gan.images.convert import grid, to_png
from gan.run.lock import lost
from gan.run.run_folder import SAMPLES
from gan.training.callbacks.interrupt import due
from gan.training.loggers import TensorBoard
from gan.training.module import GAN


class Samples(Callback):
    """Write samples/<images seen>.png and TensorBoard's "samples", and once samples/reals.png to compare with.

    Args:
        run: the run folder.
        every: images from one grid to the next; there is one at the end as well.
        first: images of the first one, the interval doubles from there to `every`.
        num_images: pictures a grid.
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
            self.draw(trainer, pl_module)

    def draw(self, trainer: Trainer, pl_module: GAN) -> None:
        pl_module.averaged_generator()  # on all ranks: synchronised BatchNorm is estimated together
        if not trainer.is_global_zero or lost(self.folder.parent):
            return
        picture = to_png(grid(pl_module.preview(self.num_images), pl_module.columns(self.num_images)))
        self.last = self.path(pl_module)
        write(picture, self.last)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoard):
                logger.add_png("samples", picture, pl_module.images_seen)

    def path(self, pl_module: GAN) -> Path:
        return self.folder / f"{pl_module.images_seen:09d}.png"


def write(picture: bytes, path: Path) -> None:
    """Save a picture; a full disk is said, and training goes on."""
    try:
        write_atomically(path, lambda file: file.write(picture))
    except OSError as error:
        print(f"{path}: not written ({reason(error)}); training goes on", flush=True)
