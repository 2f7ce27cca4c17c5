"""What is said where another process of a run is gone, and an end that does not wait for it."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
import time
from pathlib import Path

import torch.distributed as dist
from lightning import Trainer

from gan.common.errors import UserError

GRACE = 5.0  # seconds for the main thread to see by itself that a process is gone
UNANSWERED = 10.0  # seconds after which a signal that the main thread has not seen ends the run


def lost(error: Exception) -> bool:
    """Whether an error says that another rank can't be reached."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "/gloo/" in str(error))


def gone(run: Path) -> UserError:
    return UserError(
        f"another process of this run has died or does not answer; go on with: python train.py resume={run}"
    )


def watch(trainer: Trainer) -> None:
    """Have Lightning's observer say what it does: where a rank ends, it kills the others without a word."""
    for thread in threading.enumerate():
        if thread.name == "child-process-observer":
            thread._terminate_all = functools.partial(end_soon, trainer)  # type: ignore[attr-defined]


def end_soon(trainer: Trainer) -> None:
    """End all processes of this run, unless the main thread does so in time: it may be in the middle of a collective,
    where no exception reaches it."""
    time.sleep(GRACE)
    end(trainer, 2)


def end(trainer: Trainer, code: int) -> None:
    for process in getattr(trainer.strategy.launcher, "procs", ()):
        process.kill()
    print(f"error: {gone(Path(trainer.default_root_dir))}", file=sys.stderr, flush=True)
    os._exit(code)


class Answer:
    """Ends a run by the signals 2 and 15 where the main thread does not get to see them.

    Python's handlers run between two of its instructions, and waiting for a rank that was stopped, or for a machine
    that is gone, is one instruction that takes half an hour.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.handled = 0  # by Python's handler, which counts here
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.writing, False)
        self.before = signal.set_wakeup_fd(self.writing, warn_on_full_buffer=False)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        arrived = 0
        while number := os.read(self.reading, 1):
            if number[0] not in (signal.SIGINT, signal.SIGTERM):
                continue
            arrived += 1
            time.sleep(UNANSWERED)
            if self.handled < arrived:
                end(self.trainer, 128 + number[0])

    def close(self) -> None:
        signal.set_wakeup_fd(self.before)
        os.close(self.writing)  # ends the thread
