"""Show the progress of training: a bar on a terminal, otherwise lines."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping

from lightning import Callback, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from gan.training.callbacks.evaluate import Evaluate
from gan.training.callbacks.loop import clock_of
from gan.training.callbacks.samples import newest_grid
from gan.training.module import GAN
from gan.utils.output import bar_width, duration, print_line, shows_bars


class ProgressLine(Callback):
    """Shows images, epoch, images/s, time left, losses, scores and the path of the last grid.

    Speed and time left are those of training alone, as for `minutes=`. The first line comes after the first batch.
    """

    def __init__(self, refresh: float = 0.5, plain_interval: float = 10) -> None:
        self.refresh = refresh  # seconds between updates of the bar
        self.plain_interval = plain_interval
        self.period = math.inf  # seconds between updates on this rank
        self.acted = 0.0  # when it was updated (seconds, monotonic)
        self.bar: Progress | None = None
        self.started = 0.0  # seconds of training at the start of this process
        self.first = 0  # images seen at the start of this process
        self.scores = ""  # those that were last shown

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        self.acted, self.started = time.monotonic(), clock_of(trainer).seconds
        self.first = pl_module.images_seen
        if trainer.is_global_zero and shows_bars():
            console = Console()
            wrapped = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=False))
            self.bar = Progress(BarColumn(bar_width(console.width)), wrapped, console=console, auto_refresh=False)
            self.bar.add_task("", total=1.0)
            self.bar.start()
        if trainer.is_global_zero:
            self.period = self.refresh if self.bar else self.plain_interval

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        if (now := time.monotonic()) - self.acted > self.period:
            self.acted = now
            self.act(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        if trainer.is_global_zero:
            self.act(trainer, pl_module)
        self.stop()

    def on_exception(self, trainer: Trainer, pl_module: GAN, exception: BaseException) -> None:  # type: ignore[override]
        self.stop()

    def stop(self) -> None:
        if self.bar:
            self.bar.stop()
            self.bar = None

    def act(self, trainer: Trainer, pl_module: GAN) -> None:
        """Show the present state."""
        seen = pl_module.images_seen
        rate = (seen - self.first) / max(clock_of(trainer).seconds - self.started, 1e-9)
        left, fraction = remaining(trainer, seen, pl_module.batch_size, rate)
        epoch = seen / max(len(trainer.datamodule), 1)  # type: ignore[attr-defined]
        clock = f"{seen:,} images · epoch {epoch:.1f} · {rate:.0f} images/s · {left} left"
        means = pl_module.loss_log.means or pl_module.loss_log.pending_means()  # before the first line of the log
        losses = {name: value for name, value in means.items() if not name.startswith("health/")}
        latest = scores(trainer)
        new = "" if latest == self.scores and not self.bar else latest  # not again in each line of a log
        self.scores = latest
        numbers = " · ".join(filter(None, (listed(losses), new)))
        parts = filter(None, (clock, numbers, newest_grid(trainer)))
        if self.bar is None:
            print_line(" | ".join(parts))
        else:
            self.bar.update(self.bar.task_ids[0], completed=fraction, description="\n".join(parts), refresh=True)


def remaining(trainer: Trainer, seen: int, batch_size: int, rate: float) -> tuple[str, float]:
    """Return the remaining time as text and the completed fraction, by images or minutes, whichever ends first."""
    seconds, fraction = float("inf"), 0.0
    if trainer.max_steps > 0:
        total = trainer.max_steps * batch_size
        seconds, fraction = (total - seen) / max(rate, 1e-9), seen / total
    clock = clock_of(trainer)
    if (left := clock.remaining) is not None and left < seconds:
        seconds, fraction = left, clock.seconds / max(clock.seconds + left, 1e-9)
    return (duration(max(seconds, 0)) if seconds < 1e9 else "?"), fraction


def scores(trainer: Trainer) -> str:
    """Return the scores of the last evaluation as text, which says if they are those before training."""
    evaluate = next((c for c in trainer.callbacks if isinstance(c, Evaluate)), None)  # type: ignore[attr-defined]
    if evaluate is None or not evaluate.scores:
        return ""
    name = "before training" if getattr(trainer.lightning_module, "saves_start", False) else "untrained"
    return (f"{name}: " if evaluate.scored_at == 0 else "") + listed(evaluate.scores)


def listed(values: Mapping[str, float]) -> str:
    return " · ".join(f"{name} {value:.4g}" for name, value in values.items())
