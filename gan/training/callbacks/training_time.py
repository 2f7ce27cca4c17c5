"""Measure the time of the training loop alone, which ends a run and lets it save checkpoints."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from lightning import Callback, Trainer

from gan.training.module import GAN

MEASURED = 10.0  # seconds of training after which the speed is known
CHECK = 1.0  # seconds between two decisions of several ranks
MAX_UNSAVED = 180.0  # seconds of training after which a checkpoint is saved


class TrainingTime(Callback):
    """Counts the seconds of the training loop, without evaluations, grids, checks of health and checkpoints.

    These run in `paused`, which stops the clock and adds up their seconds by name. Rank 0 decides when the run ends
    and when it saves a checkpoint. With several ranks, it sends its decision together with the number of batches until
    the next one, so that ranks wait for each other about once a second, and all stop or save after the same batch.

    Args:
        minutes: length of the run in minutes of training; None: the clock does not end the run.
    """

    def __init__(self, minutes: float | None = None) -> None:
        self.limit = None if minutes is None else 60 * minutes
        self.other: dict[str, float] = defaultdict(float)  # seconds outside of the training loop, by name
        self.counted = 0.0  # seconds until the clock was last started
        self.started: float | None = None  # when the clock was last started (seconds, monotonic); None: it is stopped
        self.begun: tuple[int, float] | None = None  # batches and seconds at the first batch of this process
        self.warm: tuple[int, float] | None = None  # images and seconds after the first batch of this process
        self.next_decision = 0  # number of batches
        self.saved = 0.0  # seconds of training at the last checkpoint
        self.must_save = False  # whether a checkpoint is due after this batch

    @property
    def seconds(self) -> float:
        """Seconds of training since the beginning of the run."""
        return self.counted + (0.0 if self.started is None else time.monotonic() - self.started)

    @property
    def remaining(self) -> float | None:
        """Seconds of training until the limit, at least 0; None without a limit."""
        return None if self.limit is None else max(0.0, self.limit - self.seconds)

    def speed(self, images: int) -> float | None:
        """Return the images per second of training, without the first batch of this process; None if too few seconds.

        Args:
            images: images seen.
        """
        if self.warm is None or (measured := self.seconds - self.warm[1]) < MEASURED:
            return None
        return (images - self.warm[0]) / measured

    def on_fit_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        if self.limit is not None:  # a resumed run can have reached its length already
            trainer.should_stop = trainer.should_stop or trainer.strategy.broadcast(self.seconds >= self.limit)

    def on_train_batch_start(self, trainer: Trainer, *_: object) -> None:
        if self.begun is None:
            self.begun = trainer.global_step, self.counted
            self.start()

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        if self.warm is None:
            self.warm = pl_module.images_seen, self.seconds
        self.must_save = False
        if trainer.global_step >= self.next_decision:
            own = (self.remaining == 0, self.seconds - self.saved >= MAX_UNSAVED, self.until_decision(trainer))
            over, self.must_save, batches = trainer.strategy.broadcast(own)
            self.next_decision = trainer.global_step + batches
            trainer.should_stop = trainer.should_stop or over

    def until_decision(self, trainer: Trainer) -> int:
        """Return the number of batches until the next decision: those of CHECK seconds, or fewer near the limit."""
        if trainer.world_size == 1:
            return 1
        batches, seconds = self.begun or (0, 0.0)
        per_batch = (self.seconds - seconds) / (trainer.global_step - batches)
        left = CHECK if self.remaining is None else min(CHECK, self.remaining)
        return max(1, int(left / max(per_batch, 1e-9)))

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        self.stop()

    def start(self) -> None:
        self.started = time.monotonic()

    def stop(self) -> None:
        self.counted, self.started = self.seconds, None

    @contextmanager
    def paused(self, name: str, device: torch.device) -> Iterator[None]:
        """A context whose time counts as `name` and not as training."""
        running = self.started is not None
        if device.type == "cuda":
            torch.cuda.synchronize(device)  # batches that are still in its queue count as training
        self.stop()
        began = time.monotonic()
        try:
            yield
        finally:
            self.other[name] += time.monotonic() - began
            if running:
                self.start()

    def state_dict(self) -> dict[str, Any]:
        return {"seconds": self.seconds, "other": dict(self.other)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self.counted = self.saved = float(state_dict["seconds"])
        self.other.update({str(name): float(seconds) for name, seconds in state_dict["other"].items()})


def clock_of(trainer: Trainer) -> TrainingTime:
    """Return the clock of a run; a stopped clock if there is none."""
    clocks = (c for c in trainer.callbacks if isinstance(c, TrainingTime))  # type: ignore[attr-defined]
    return next(clocks, None) or TrainingTime()


@contextmanager
def paused(trainer: Trainer, name: str) -> Iterator[None]:
    """A context whose time does not count as training, but as `name`. Callbacks use it for their slow parts."""
    with clock_of(trainer).paused(name, trainer.strategy.root_device):
        yield
