"""Set the number of torch's threads for training on a CPU."""

from __future__ import annotations

import time
from typing import Any

import torch
from lightning import Callback, Trainer

from gan.training.callbacks.loop import paused
from gan.training.memory import PRECISIONS, copied_step, example
from gan.training.module import GAN
from gan.utils.errors import at_least
from gan.utils.output import print_line
from gan.utils.torch_runtime import ThreadTuner, is_fixed_by_user

SLOW = 1.3  # steps are slow if they take this many times the measured time
WINDOW = 2.0  # seconds, and
STEPS = 3  # steps over which the time of a step is averaged
WAIT = 60.0  # seconds between measurements while fewer threads than possible run


class Threads(Callback):
    """Sets the number of threads, or chooses the one with which a training step is fastest.

    It measures steps of a copy of the model: before the first batch, when steps become slow, and from time to time
    while fewer threads than possible run. Training itself computes the same as with a fixed number, until the number
    changes. The number is stored in checkpoints, so that a resumed run starts with it.

    It chooses only for a single process on a CPU. Several ranks on a CPU divide the cores, on a GPU the threads of the
    CPU matter little, and kernels of torch.compile are made for one number of threads. If OMP_NUM_THREADS is set, torch
    uses that number.
    """

    def __init__(self, threads: int | str = "auto") -> None:
        self.fixed = None if threads == "auto" else at_least("trainer.threads", threads, 1)
        self.before = 0  # number of threads before training
        self.expected: float | None = None  # seconds of a step; None: not measured
        self.seconds, self.steps, self.started = 0.0, 0, 0.0  # of the current window
        self.tuner = ThreadTuner(WAIT)

    def setup(self, trainer: Trainer, pl_module: GAN, stage: str) -> None:  # type: ignore[override]
        self.before = torch.get_num_threads()
        on_cpu = trainer.strategy.root_device.type == "cpu"
        if self.fixed is not None:
            torch.set_num_threads(self.fixed)
        elif on_cpu and trainer.world_size == 1 and pl_module.compile_with is None and not is_fixed_by_user():
            self.tuner.limit = self.before

    def teardown(self, trainer: Trainer, pl_module: GAN, stage: str) -> None:  # type: ignore[override]
        torch.set_num_threads(self.before)

    def state_dict(self) -> dict[str, Any]:
        return {"threads": torch.get_num_threads(), "seconds": self.expected}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue with the stored number, if this machine has as many cores."""
        threads, seconds = state_dict["threads"], state_dict["seconds"]
        if seconds is not None and at_least("the checkpoint's threads", threads, 1) <= self.tuner.limit:
            self.expected = float(seconds)
            torch.set_num_threads(threads)

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        if self.tuner.limit > 1 and self.expected is None:
            self.measure(trainer, pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        if self.expected is not None and self.steps >= STEPS and self.seconds >= WINDOW:
            slow = self.seconds / self.steps > SLOW * self.expected
            due = self.tuner.worked(self.seconds, slow)
            self.seconds, self.steps = 0.0, 0
            if due and (slow or torch.get_num_threads() < self.tuner.limit):
                self.measure(trainer, pl_module)
        self.started = time.perf_counter()

    def on_train_batch_end(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self.started
        self.steps += 1

    def measure(self, trainer: Trainer, pl_module: GAN) -> None:
        """Choose the number of threads, and print it if it changes."""
        first, before = self.expected is None, torch.get_num_threads()
        with paused(trainer, "threads"):
            shapes = example(pl_module, pl_module.data, pl_module.batch_size)
            batch = {name: torch.zeros_like(value, device="cpu") for name, value in shapes.items()}
            step = copied_step(pl_module, batch, pl_module.device, PRECISIONS.get(str(trainer.precision)))
            seconds = self.tuner.choose(step)
        chosen, self.expected = next(iter(seconds.items()))
        if first or chosen != before:
            others = ", ".join(f"with {count} {1000 * time:.0f} ms" for count, time in list(seconds.items())[1:])
            print_line(f"threads: {chosen}; a step takes {1000 * self.expected:.0f} ms, {others}")
