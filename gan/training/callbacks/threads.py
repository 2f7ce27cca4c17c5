"""Set the number of torch's threads for training on a CPU.

torch's threads wait for each other in every layer. Beside a program that occupies one of two cores, one thread is more
than ten times as fast as two, while on idle cores two are faster. The operating system does not tell which is the case,
so the number of threads is chosen by timing the same work with several numbers.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from typing import Any

import torch
from lightning import Callback, Trainer

from gan.training.callbacks.loop import paused
from gan.training.memory import PRECISIONS, copy_of, example, step_of
from gan.training.module import GAN
from gan.utils.errors import at_least
from gan.utils.output import print_line

SLOW = 1.3  # steps are slow if they take this many times the measured time
WINDOW = 2.0  # seconds, and
STEPS = 3  # steps over which the time of a step is averaged
WAIT = 60.0  # seconds between measurements while fewer threads than possible run
MAX_COST = 0.05  # maximum fraction of the time that repeated measurements take
MAX_URGENT_COST = 0.2  # the same, while steps are slow
SECONDS = 0.3  # minimum time of a measurement
LONG = 1.0  # seconds; a call that takes longer needs no call before it that warms up, and is measured once
HOPELESS = 3.0  # a number of threads that takes this many times the shortest time is measured only once
WORSE = 1.1  # fewer threads are not tried after a number that takes this many times the shortest time
TOLERANCE = 1.03  # the smallest number of threads within this factor of the shortest time is chosen


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
        self.limit = 1  # largest number to choose
        self.expected: float | None = None  # seconds of a step; None: not measured
        self.cost, self.passed = 0.0, 0.0  # seconds of the last measurement, and of training since then
        self.seconds, self.steps, self.started = 0.0, 0, 0.0  # of the current window

    def setup(self, trainer: Trainer, pl_module: GAN, stage: str) -> None:  # type: ignore[override]
        self.before = torch.get_num_threads()
        on_cpu = trainer.strategy.root_device.type == "cpu"
        if self.fixed is not None:
            torch.set_num_threads(self.fixed)
        elif on_cpu and trainer.world_size == 1 and pl_module.compile_with is None:
            is_set = os.environ.get("OMP_NUM_THREADS") or os.environ.get("MKL_NUM_THREADS")
            self.limit = 1 if is_set else self.before

    def teardown(self, trainer: Trainer, pl_module: GAN, stage: str) -> None:  # type: ignore[override]
        torch.set_num_threads(self.before)

    def state_dict(self) -> dict[str, Any]:
        return {"threads": torch.get_num_threads(), "seconds": self.expected}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue with the stored number, if this machine has as many cores."""
        threads, seconds = state_dict["threads"], state_dict["seconds"]
        if seconds is not None and at_least("the checkpoint's threads", threads, 1) <= self.limit:
            self.expected = float(seconds)
            torch.set_num_threads(threads)

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        if self.limit > 1 and self.expected is None:
            self.measure(trainer, pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        if self.expected is not None and self.steps >= STEPS and self.seconds >= WINDOW:
            slow = self.seconds / self.steps > SLOW * self.expected
            wait = self.cost / MAX_URGENT_COST if slow else max(WAIT, self.cost / MAX_COST)
            self.passed += self.seconds
            self.seconds, self.steps = 0.0, 0
            if self.passed >= wait and (slow or torch.get_num_threads() < self.limit) and self.limit > 1:
                self.measure(trainer, pl_module)
        self.started = time.perf_counter()

    def on_train_batch_end(self, *_: object) -> None:
        self.seconds += time.perf_counter() - self.started
        self.steps += 1

    def measure(self, trainer: Trainer, pl_module: GAN) -> None:
        """Choose the number of threads, and print it if it changes."""
        first, before = self.expected is None, torch.get_num_threads()
        with paused(trainer, "threads"), torch.random.fork_rng(devices=[]):
            began = time.perf_counter()
            batch = example(pl_module, pl_module.data, pl_module.batch_size, pl_module.device)
            precision = PRECISIONS.get(str(trainer.precision))
            seconds = choose(step_of(copy_of(pl_module), batch, pl_module.device, precision), self.limit)
            self.cost, self.passed = time.perf_counter() - began, 0.0
        chosen, self.expected = next(iter(seconds.items()))
        if first or chosen != before:
            others = ", ".join(f"with {count}: {1000 * time:.0f} ms" for count, time in list(seconds.items())[1:])
            print_line(f"threads: {chosen}; a step takes {1000 * self.expected:.0f} ms, {others}")


def choose(work: Callable[[], object], limit: int) -> dict[int, float]:
    """Set the number of threads, up to `limit`, with which `work` takes the least time.

    Numbers are powers of two times a fraction of `limit`, 3/4 of it, all but one, and all. The search starts at half of
    the limit, where other programs are less in the way, tries more threads while the time falls, then fewer.

    Args:
        work: called several times; it must have no lasting effect.

    Returns:
        The measured seconds by number of threads, the chosen number first.
    """
    halves = {limit >> shift for shift in range(1, limit.bit_length())}
    counts = sorted(halves | {1, limit, max(1, limit - 1), max(1, 3 * limit // 4)})
    first = counts.index(max(1, limit // 2))
    seconds = {counts[first]: time_of(work, counts[first], math.inf)}
    # More threads beside other programs are about as slow, so stop at the first that are no faster; fewer can be fast.
    for numbers, worse in ((counts[first + 1 :], 1.0), (counts[:first][::-1], WORSE)):
        for count in numbers:
            shortest = min(seconds.values())
            seconds[count] = time_of(work, count, shortest)
            if seconds[count] >= worse * shortest:
                break
    chosen = min(count for count, time in seconds.items() if time <= TOLERANCE * min(seconds.values()))
    torch.set_num_threads(chosen)
    return {chosen: seconds.pop(chosen)} | seconds


def time_of(work: Callable[[], object], threads: int, shortest: float) -> float:
    """Return the mean time of `work` with a number of threads, in seconds. A first call warms up if it is short.

    `shortest` is the time with the best number so far.
    """
    torch.set_num_threads(threads)
    started = time.perf_counter()
    work()
    elapsed = time.perf_counter() - started
    if elapsed > min(LONG, HOPELESS * shortest + SECONDS):
        return elapsed
    started, calls = time.perf_counter(), 0
    while calls < 2 or time.perf_counter() - started < SECONDS:
        work()
        calls += 1
    return (time.perf_counter() - started) / calls
