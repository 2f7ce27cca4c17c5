"""At SIGTERM, SIGHUP, Ctrl-C or SLURM's signal, stop all ranks between two batches and save a checkpoint."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer
from torch.utils.data import dataloader

from gan import data
from gan.runs import lock, ranks
from gan.training.module import GAN
from gan.utils import processes
from gan.utils.option_values import crosses_doubling

ALARM: int | None = getattr(signal, "SIGALRM", None)  # not on Windows
LOADING = (str(dataloader.__file__), *data.__path__)  # the files of the code that loads batches
EXCHANGE = 0.5  # seconds between two exchanges of ranks
PATIENCE = 4.0  # seconds to wait for a batch after a signal; after twice this time the workers are killed


class Interrupt(Callback):
    """Sets a flag at a signal and shares it among ranks, so that the checkpoint callback saves after the same batch.

    Ranks share their flags about every EXCHANGE seconds, because each exchange waits for a message around all of them.

    During training it replaces Lightning's handlers, which stop within a batch (SIGINT) or start a collective inside
    the handler (SIGTERM). A second Ctrl-C stops without waiting for the batch.

    If no batch arrives because a worker of the data loader is stopped or waits for a disk, the worker is killed. Then
    PyTorch raises an error, and training ends with the existing checkpoints.
    """

    def __init__(self) -> None:
        self.received = 0  # number of the signal that this process received; the handler alone writes it
        self.signal = 0  # number of the signal on which all ranks agree
        self.alarms = 0  # number of times that no batch arrived within PATIENCE
        self.at_once = False  # training ended without waiting for the batch
        self.previous: dict[int, Any] = {}
        self.group: dist.ProcessGroup | None = None  # on the CPU, to avoid synchronizing the GPU
        self.exchanged = (0, 0.0)  # batches and seconds (monotonic) at the last exchange of ranks
        self.next_exchange = 0  # number of batches
        self.watchdog: ranks.SignalWatchdog | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        ranks.watch_children(trainer)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.world_size > 1:
            self.group = dist.new_group(backend="gloo")
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, *processes.TERMINATION, *ranks.slurm_signals()):
                if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
                    self.previous[number] = signal.signal(number, self.on_signal)
            ranks.release_slurm_signal()
            if ALARM is not None:
                self.previous[ALARM] = signal.signal(ALARM, self.on_alarm)
            if trainer.world_size > 1:
                self.watchdog = ranks.SignalWatchdog(trainer)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGINT, `signals.TERMINATION` and that of SLURM."""
        processes.leave_closed_terminal(number)
        if self.watchdog:
            self.watchdog.handled += 1
        if self.received and number == signal.SIGINT:
            self.at_once = True
            raise KeyboardInterrupt
        self.received = number
        if ALARM in self.previous:
            signal.setitimer(signal.ITIMER_REAL, PATIENCE, PATIENCE)

    def on_alarm(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGALRM: while the main thread waits for a batch, continue stopped workers, or kill them."""
        if not awaits_batch(frame):
            return
        self.alarms += 1
        self.at_once = self.alarms > 1
        for worker in workers():
            os.kill(worker, signal.SIGKILL if self.at_once else signal.SIGCONT)
        if self.at_once and not workers():  # this process itself reads the data
            raise KeyboardInterrupt

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        lock.trained()
        if self.group is None:
            self.signal = self.received
        elif trainer.global_step >= self.next_exchange:
            self.exchange(trainer.global_step)
        if self.signal:
            pl_module.interrupted = trainer.should_stop = True

    def exchange(self, batches: int) -> None:
        """Share the flag with all ranks, and agree on the batch of the next exchange, the first that a rank wants."""
        (before, then), now = self.exchanged, time.monotonic()
        per_second = (batches - before) / (now - then) if before else 0.0
        values = torch.tensor([self.received, -max(1, int(EXCHANGE * per_second))])
        dist.all_reduce(values, dist.ReduceOp.MAX, self.group)
        self.signal = int(values[0])  # not `received`: a signal that has just arrived remains for the next exchange
        self.exchanged, self.next_exchange = (batches, now), batches - int(values[1])

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.restore()

    def restore(self) -> None:
        """Restore the previous signal handlers."""
        ranks.hold_slurm_signal()
        if self.watchdog:
            self.watchdog.close()
            self.watchdog = None
        if ALARM in self.previous:
            signal.setitimer(signal.ITIMER_REAL, 0)
            for worker in workers():  # a stopped worker cannot end by itself
                os.kill(worker, signal.SIGCONT)
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous.clear()


def workers() -> list[int]:
    """Return the process ids of the data loaders' workers, which are the only daemons of this process."""
    return [child.pid for child in multiprocessing.active_children() if child.daemon and child.pid]


def kill_workers() -> None:
    """Kill workers that still run after training. They hold no state, and Python would wait for them forever."""
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()


def awaits_batch(frame: FrameType | None) -> bool:
    """Return whether the interrupted code loads a batch or waits for one."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(LOADING):
            return True
        frame = frame.f_back
    return False


def due(trainer: Trainer, pl_module: GAN, interval: int, first: int | None = None) -> bool:
    """Return whether a periodic action is due after a batch.

    It is always due at the end of the run, and never at an interruption. If `first` is given, the interval starts with
    it and doubles up to `interval`.
    """
    seen = pl_module.images_seen
    return crosses_doubling(seen - pl_module.batch_size, seen, first or interval, interval) or ends(trainer, pl_module)


def ends(trainer: Trainer, pl_module: GAN) -> bool:
    """Return whether the run ends after this batch, other than by an interruption."""
    return trainer.global_step == trainer.max_steps or (trainer.should_stop and not pl_module.interrupted)
