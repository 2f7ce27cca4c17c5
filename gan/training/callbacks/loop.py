"""What happens between two batches: the clock of the run, signals, and which periodic action is due."""

from __future__ import annotations

import multiprocessing
import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from lightning import Callback, LightningModule, Trainer

from gan.runs import lock, ranks
from gan.training.module import GAN, crosses
from gan.utils import processes

MAX_UNSAVED = 180.0  # seconds of training after which a checkpoint is saved
EXCHANGE = 0.5  # seconds between two exchanges of ranks


class Periodic(Callback):
    """Calls `act` after a batch about every `interval` images and at the end; its time does not count as training.

    It never acts at an interruption, except for checkpoints (`saves`). A first interval, `first`, doubles up to
    `interval`, because images change faster early in training.
    """

    activity = ""  # the name of its time
    interval: int
    first: int | None = None
    saves = False  # whether to act also when the run is interrupted, when the clock asks for it, and after scores

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        if due(trainer, pl_module, self.interval, self.first) or (self.saves and may_save(trainer)):
            with paused(trainer, self.activity):
                self.act(trainer, pl_module)

    def act(self, trainer: Trainer, pl_module: GAN) -> None:
        raise NotImplementedError


def due(trainer: Trainer, pl_module: GAN, interval: int, first: int | None = None) -> bool:
    """Return whether a periodic action is due after a batch; always at the end of the run, never at an interruption.

    Otherwise it is due if the images of the batch contain a multiple of `interval`, or one of first, 2 first, 4 first
    ... below `interval`.
    """
    if ends(trainer, pl_module):
        return True
    after = pl_module.images_seen
    before, early = after - pl_module.batch_size, first or interval
    while early < interval:
        if before < early <= after:
            return True
        early *= 2
    return crosses(before, after, interval)


def ends(trainer: Trainer, pl_module: GAN) -> bool:
    return trainer.global_step == trainer.max_steps or (trainer.should_stop and not pl_module.interrupted)


def may_save(trainer: Trainer) -> bool:
    return trainer.should_stop or clock_of(trainer).must_save or last_evaluation(trainer) is not None


def last_evaluation(trainer: Trainer) -> Any:
    """Return the `Evaluate` that has scored the present number of images; None if there was no evaluation."""
    now = trainer.lightning_module.images_seen
    return next((c for c in trainer.callbacks if getattr(c, "scored_at", None) == now), None)  # type: ignore[attr-defined]


class TrainingTime(Callback):
    """Counts the seconds of the training loop, without evaluations, grids, checks of health and checkpoints.

    These run in `paused`, which stops the clock and adds up their seconds by name. `Interrupt` ends the run at the
    limit of the clock.

    Args:
        minutes: length of the run in minutes of training; None: the clock does not end the run.
    """

    def __init__(self, minutes: float | None = None) -> None:
        self.limit = None if minutes is None else 60 * minutes
        self.other: dict[str, float] = defaultdict(float)  # seconds outside of the training loop, by name
        self.counted = 0.0  # seconds until the clock was last started
        self.started: float | None = None  # when the clock was last started (seconds, monotonic); None: it is stopped
        self.saved = 0.0  # seconds of training at the last checkpoint
        self.must_save = False  # whether a checkpoint is due after this batch

    @property
    def seconds(self) -> float:
        return self.counted + (0.0 if self.started is None else time.monotonic() - self.started)

    @property
    def remaining(self) -> float | None:
        """Seconds of training until the limit, at least 0; None without a limit."""
        return None if self.limit is None else max(0.0, self.limit - self.seconds)

    def on_fit_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        if self.limit is not None:  # a resumed run can have reached its length already
            trainer.should_stop = trainer.should_stop or trainer.strategy.broadcast(self.seconds >= self.limit)

    def on_train_batch_start(self, trainer: Trainer, *_: object) -> None:
        if self.started is None:
            self.start()

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        lock.trained()  # from now on an error keeps the run folder

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        self.stop()

    def start(self) -> None:
        self.started = time.monotonic()

    def stop(self) -> None:
        self.counted, self.started = self.seconds, None

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
    clock, device = clock_of(trainer), trainer.strategy.root_device
    running = clock.started is not None
    if device.type == "cuda":
        torch.cuda.synchronize(device)  # batches that are still in its queue count as training
    clock.stop()
    began = time.monotonic()
    try:
        yield
    finally:
        clock.other[name] += time.monotonic() - began
        if running:
            clock.start()


class Interrupt(Callback):
    """Ends the run at a signal or at the limit of the clock, and asks for a checkpoint after MAX_UNSAVED seconds.

    All ranks do so after the same batch. They exchange what each of them wants about every EXCHANGE seconds, because
    each exchange waits for a message around all of them.

    During training it replaces Lightning's handlers, which stop within a batch (SIGINT) or start a collective inside
    the handler (SIGTERM). A second Ctrl-C stops without waiting for the batch, which may never arrive if a disk does
    not answer.
    """

    def __init__(self) -> None:
        self.received = 0  # number of the signal that this process received; the handler alone writes it
        self.signal = 0  # number of the signal on which all ranks agree
        self.at_once = False  # training ended without waiting for the batch
        self.previous: dict[int, Any] = {}
        self.group: Any = None  # a process group on the CPU, to avoid synchronizing the GPU
        self.exchanged = (0, 0.0)  # batches and seconds (monotonic) at the last exchange of ranks
        self.next_exchange = 0  # number of batches
        self.watchdog: ranks.SignalWatchdog | None = None  # of a run on several ranks

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

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGINT, `processes.TERMINATION` and the signal of SLURM."""
        processes.leave_closed_terminal(number)
        if self.watchdog:
            self.watchdog.handled += 1
        if self.received and number == signal.SIGINT:
            self.at_once = True
            raise KeyboardInterrupt
        self.received = number

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        clock = clock_of(trainer)
        clock.must_save = False
        if self.group is not None and trainer.global_step < self.next_exchange:
            return
        wanted = [self.received, int(clock.remaining == 0), int(clock.seconds - clock.saved >= MAX_UNSAVED)]
        if self.group is not None:
            wanted = self.exchange(wanted, trainer.global_step, clock.remaining)
        self.signal = wanted[0]  # not `received`: a signal that has just arrived remains for the next exchange
        clock.must_save = bool(wanted[2])
        if self.signal:
            pl_module.interrupted = True
        if self.signal or wanted[1]:
            trainer.should_stop = True

    def exchange(self, wanted: list[int], batches: int, left: float | None) -> list[int]:
        """Return the largest values of all ranks, and agree on the batch of the next exchange.

        It is the earliest batch that any rank asks for. `left` is the time of training until the limit in seconds, or
        None.
        """
        (before, then), now = self.exchanged, time.monotonic()
        per_second = (batches - before) / (now - then) if before else 0.0
        ahead = EXCHANGE if left is None else min(EXCHANGE, left)
        values = torch.tensor([*wanted, -max(1, int(ahead * per_second))])
        dist.all_reduce(values, dist.ReduceOp.MAX, self.group)
        *together, wait = values.tolist()
        self.exchanged, self.next_exchange = (batches, now), batches - wait
        return together

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.restore()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if isinstance(exception, SystemExit):  # a signal before training; the other ranks wait for this one
            ranks.kill_children(trainer)
        self.restore()

    def restore(self) -> None:
        ranks.hold_slurm_signal()
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        self.previous.clear()


def kill_workers() -> None:
    """Kill workers that still run after training. They hold no state, and Python would wait for them forever."""
    for child in multiprocessing.active_children():
        if child.daemon:  # the workers of data loaders are the only daemons of this process
            child.kill()
