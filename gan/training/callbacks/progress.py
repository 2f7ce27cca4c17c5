"""Show the progress of training: a bar on a terminal, otherwise lines."""

from __future__ import annotations

import math
import time

from lightning import Callback, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Column

from gan.evaluation.registry import meaning
from gan.training.callbacks.evaluate import Evaluate
from gan.training.callbacks.loop import clock_of
from gan.training.callbacks.samples import newest_grid
from gan.training.module import GAN
from gan.utils.output import bar_width, duration, print_aligned, print_line, shows_bars

LOSSES = ("loss/discriminator", "loss/generator")


class ProgressLine(Callback):
    """Shows images, images/s, time left and mean losses in a line; each new grid, and a table of scores, above it.

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
        self.grid = ""  # the one that was last named
        self.scored: tuple[int, dict[str, float]] = (-1, {})  # images and scores that were last shown

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        self.acted, self.started = time.monotonic(), clock_of(trainer).seconds
        self.first = pl_module.images_seen
        if evaluate := evaluation(trainer):  # of the checkpoint
            self.scored = evaluate.scored_at, evaluate.scores
        if trainer.is_global_zero and shows_bars():
            console = Console()
            wrapped = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=False))
            self.bar = Progress(BarColumn(bar_width(console.width) // 2), wrapped, console=console, auto_refresh=False)
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
        """Show what is new since the last call, then the present state."""
        if (grid := newest_grid(trainer)) != self.grid:
            self.grid = grid
            print_line(f"grid: {grid}")
        evaluate = evaluation(trainer)
        if evaluate and evaluate.scores and evaluate.scored_at != self.scored[0]:
            before, self.scored = self.scored, (evaluate.scored_at, evaluate.scores)
            print_scores(before, self.scored)
        seen = pl_module.images_seen
        rate = (seen - self.first) / max(clock_of(trainer).seconds - self.started, 1e-9)
        left, fraction = remaining(trainer, seen, pl_module.batch_size, rate)
        means = pl_module.loss_log.recent_means()
        losses = [f"{name[5].upper()} {value:.3g}" for name, value in means.items() if name in LOSSES]
        line = f"{seen:,} images · {rate:.0f} images/s · {left} left"
        if losses:
            line += f" · loss {' '.join(losses)}"
        if self.bar is None:
            print_line(line)
        else:
            self.bar.update(self.bar.task_ids[0], completed=fraction, description=line, refresh=True)


def evaluation(trainer: Trainer) -> Evaluate | None:
    return next((c for c in trainer.callbacks if isinstance(c, Evaluate)), None)  # type: ignore[attr-defined]


def print_scores(before: tuple[int, dict[str, float]], now: tuple[int, dict[str, float]]) -> None:
    """Print a table of scores beside those of the evaluation before, if there was one."""
    columns = [each for each in (before, now) if each[1]]
    headings = [f"{images:,} images" for images, _ in columns]
    rows = []
    for name in now[1]:
        values = [f"{scores[name]:.4g}" if name in scores else "-" for _, scores in columns]
        rows.append([name.removeprefix("eval/"), *values, meaning(name).better])
    print_aligned(["score", *headings, "better is"], rows, headings)


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
