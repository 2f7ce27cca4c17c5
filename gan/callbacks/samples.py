"""Pictures while training: a grid of fixed latents through the averaged generator."""

from __future__ import annotations

from pathlib import Path

from lightning import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from gan.callbacks.interrupt import due
from gan.images import grid, save_png
from gan.module import GAN
from gan.runs import SAMPLES


class Samples(Callback):
    """Write samples/<images seen>.png and TensorBoard's "samples", and once samples/reals.png to compare with.

    Args:
        run: the run folder.
        every: images from one grid to the next; there is one at the end as well.
        n: pictures a grid.
    """

    def __init__(self, run: str, every: int, n: int = 64) -> None:
        self.folder = Path(run) / SAMPLES
        self.every = every
        self.n = n
        self.last: Path | None = None  # the newest grid, for the progress bar

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        if trainer.is_global_zero and not (self.folder / "reals.png").exists():
            save_png(grid(trainer.datamodule.preview(self.n)), self.folder / "reals.png")  # type: ignore[attr-defined]

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        if due(trainer, pl_module, self.every):
            self.draw(trainer, pl_module)

    def draw(self, trainer: Trainer, pl_module: GAN) -> None:
        if not trainer.is_global_zero:
            return
        picture = grid(pl_module.preview(self.n))
        self.last = self.path(pl_module)
        try:
            save_png(picture, self.last)
        except OSError as error:
            print(f"{self.last}: not written ({error.strerror}); training goes on", flush=True)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                logger.experiment.add_image("samples", picture[:3], pl_module.images_seen)

    def path(self, pl_module: GAN) -> Path:
        return self.folder / f"{pl_module.images_seen:09d}.png"
