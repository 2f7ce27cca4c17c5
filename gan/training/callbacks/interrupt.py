"""SIGTERM and Ctrl-C: stop at a batch boundary, on all ranks together, with everything saved."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer
from torch.utils.data import dataloader

from gan.common.clock import widens
from gan.data import module
from gan.data.shards import stream
from gan.run import ranks
from gan.training.module import GAN

PATIENCE = 4.0  # seconds that a batch may take to come once a signal has; twice that, and its makers are ended


class Interrupt(Callback):
    """Turn the two signals into a flag, agree on it after each batch, and let the checkpoint callback save.

    Lightning's own handlers stop in mid-batch (SIGINT), or start a collective inside the handler (SIGTERM); these take
    their place while batches run. A second Ctrl-C does not wait for the batch.

    Where no batch comes, since a process that gathers them was stopped or waits for a disk, training ends all the same,
    with the checkpoints that there are: PyTorch raises an error once that process is killed.
    """

    def __init__(self) -> None:
        self.signal = 0  # the number of what was received, here or on another rank
        self.reminded = 0  # how often no batch came within PATIENCE
        self.at_once = False  # nothing was waited for in the end
        self.previous: dict[int, Any] = {}
        self.group: dist.ProcessGroup | None = None  # on the CPU, so that no GPU is waited for
        self.answer: ranks.Answer | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        ranks.watch(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.world_size > 1:
            self.group = dist.new_group(backend="gloo")
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self.previous[number] = signal.signal(number, self.receive)
            if hasattr(signal, "SIGALRM"):
                self.previous[signal.SIGALRM] = signal.signal(signal.SIGALRM, self.remind)
            if trainer.world_size > 1:
                self.answer = ranks.Answer(trainer)

    def receive(self, number: int, frame: FrameType | None) -> None:
        if self.answer:
            self.answer.handled += 1
        if self.signal and number == signal.SIGINT:
            self.at_once = True
            raise KeyboardInterrupt
        self.signal = number
        if signal.SIGALRM in self.previous:
            signal.setitimer(signal.ITIMER_REAL, PATIENCE, PATIENCE)

    def remind(self, number: int, frame: FrameType | None) -> None:
        """Let the processes that gather batches go on, or end them, where one is still waited for."""
        if not awaits_batch(frame):
            return
        self.reminded += 1
        self.at_once = self.reminded > 1
        for worker in gatherers():
            os.kill(worker, signal.SIGKILL if self.at_once else signal.SIGCONT)
        if self.at_once and not gatherers():  # this process itself waits
            raise KeyboardInterrupt

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
        if self.answer:
            self.answer.close()
            self.answer = None
        if signal.SIGALRM in self.previous:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for worker in gatherers():  # one that was stopped can't be told to end
                os.kill(worker, signal.SIGCONT)
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous.clear()


def gatherers() -> list[int]:
    """Processes of data loaders, which alone are daemons of this one."""
    return [child.pid for child in multiprocessing.active_children() if child.daemon and child.pid]


def end_gatherers() -> None:
    """Kill those that are left when training has ended: they hold nothing, and Python would wait for them for ever."""
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()


def awaits_batch(frame: FrameType | None) -> bool:
    """Whether the code that was interrupted gathers a batch or waits for one."""
    while frame is not None:
        if frame.f_code.co_filename in (dataloader.__file__, module.__file__, stream.__file__):
            return True
        frame = frame.f_back
    return False


def due(trainer: Trainer, pl_module: GAN, interval: int, first: int | None = None) -> bool:
    """After a batch: whether something periodic is due, at the end of the run too but not at an interruption.

    From `first` images on, if given, the interval doubles until it is `every`.
    """
    seen = pl_module.images_seen
    interrupted = any(isinstance(c, Interrupt) and c.signal for c in trainer.callbacks)  # type: ignore[attr-defined]
    ends = trainer.global_step == trainer.max_steps or (trainer.should_stop and not interrupted)
    return widens(seen - pl_module.batch_size, seen, first or interval, interval) or ends
