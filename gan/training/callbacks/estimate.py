"""Print how long the run will take, as soon as its speed is known."""

from __future__ import annotations

from lightning import Callback, Trainer

from gan.common.output import duration, print_line
from gan.training.callbacks.evaluate import Evaluate
from gan.training.callbacks.training_time import clock_of
from gan.training.module import GAN

SHORT = 30.0  # seconds of training left below which an estimate is not worth a line


class Estimate(Callback):
    """Prints one line with the remaining time, the speed and the time of evaluations. It must come after Evaluate."""

    def __init__(self) -> None:
        self.said = False

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        if self.said or not trainer.is_global_zero:
            return
        evaluate = next((c for c in trainer.callbacks if isinstance(c, Evaluate) and c.loaded), None)  # type: ignore[attr-defined]
        speed = clock_of(trainer).speed(pl_module.images_seen)
        if speed is None or (evaluate is not None and evaluate.interval is None):  # the interval comes with the speed
            return
        self.said = True
        if line := describe(trainer, pl_module, evaluate, speed):
            print_line(f"estimate: {line}")


def rounded(images: float) -> int:
    """Return a number of images with two digits that count."""
    whole = int(images)
    return round(whole, 2 - len(str(whole)))


def describe(trainer: Trainer, pl_module: GAN, evaluate: Evaluate | None, speed: float) -> str:
    """Return text such as `about 4:50 until 112,000 images, at 380 images/s, with 3 evaluations of about 5 s`."""
    seen, left = pl_module.images_seen, clock_of(trainer).remaining
    steps = trainer.max_steps - trainer.global_step if trainer.max_steps > 0 else None
    by_images = None if steps is None else steps * pl_module.batch_size / speed
    seconds = min(known for known in (by_images, left) if known is not None) if (by_images, left) != (None, None) else 0
    if seconds < SHORT:
        return ""
    images = seen + seconds * speed
    evaluations = 0.0
    said = ""
    if evaluate is not None and evaluate.interval is not None and evaluate.cost is not None:
        count = 1 + int((images - seen) / evaluate.interval)
        evaluations = count * evaluate.cost
        several = f"evaluations of {evaluate.cost:.0f} s every {evaluate.interval:,} images"
        said = f", including {several if count > 1 else f'the last evaluation of {evaluate.cost:.0f} s'}"
    reached = f"until {images:,.0f} images" if seconds == by_images else f"until about {rounded(images):,} images"
    return f"about {duration(seconds + evaluations)} {reached} at {speed:.0f} images/s{said}"
