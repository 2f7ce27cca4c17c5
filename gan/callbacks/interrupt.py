"""SIGTERM and Ctrl-C: stop at a batch boundary, on all ranks together, with everything saved."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer

from gan.clock import widens
from gan.module import GAN


class Interrupt(Callback):
    """Turn the two signals into a flag, agree on it after each batch, and let the checkpoint callback save.

    Lightning's own handlers stop in mid-batch (SIGINT), or start a collective inside the handler (SIGTERM); these take
    their place while batches run. A second Ctrl-C does not wait for the batch.
    """

    def __init__(self) -> None:
        self.signal = 0  # the number of what was received, here or on another rank
        self.previous: dict[int, Any] = {}
        self.group: dist.ProcessGroup | None = None  # on the CPU, so that no GPU is waited for

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.world_size > 1:
            self.group = dist.new_group(backend="gloo")
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self.previous[number] = signal.signal(number, self.receive)

    def receive(self, number: int, frame: FrameType | None) -> None:
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        if self.group is not None:
            flag = torch.tensor(self.signal)
            dist.all_reduce(flag, dist.ReduceOp.MAX, self.group)
            self.signal = int(flag)
        if self.signal:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.restore()

    def restore(self) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous.clear()


def due(trainer: Trainer, pl_module: GAN, every: int, first: int | None = None) -> bool:
    """After a batch: whether something periodic is due, at the end of the run too but not at an interruption.

    From `first` images on, if given, the interval doubles until it is `every`.
    """
    seen = pl_module.images_seen
    interrupted = any(isinstance(c, Interrupt) and c.signal for c in trainer.callbacks)  # type: ignore[attr-defined]
    ends = trainer.global_step == trainer.max_steps or (trainer.should_stop and not interrupted)
    return widens(seen - pl_module.batch_size, seen, first or every, every) or ends
