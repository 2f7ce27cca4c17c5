"""Images/s of the default run with fixed and automatic numbers of threads, beside busy loops.

    python tests/benchmarks/threads.py [--seconds 60]

Each busy loop is a Python process that occupies one core. Every run is a process of its own, without evaluation, grids
and checkpoints; the time includes the measurements of trainer.threads=auto. Use it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer
from typing import Any

import torch
from hydra.utils import instantiate
from lightning import Callback, Trainer
from omegaconf import OmegaConf

from gan.config.compose import compose
from gan.training import EXPECTED_WARNINGS

CASES = {  # name: busy loops as (start, end), in fractions of the run
    "quiet": [],
    "one busy core": [(0, 1)],
    "every core busy": [(0, 1)] * len(os.sched_getaffinity(0)),
    "a core becomes busy": [(0.3, 1)],
    "a core becomes idle": [(0, 0.3)],
}
START = 15.0  # seconds between the start of a process and its first step, about


class Clock(Callback):
    """Ends a run after some seconds, and prints its images/s."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.started = 0.0

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        self.started = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        trainer.should_stop = time.perf_counter() - self.started > self.seconds

    def on_train_end(self, trainer: Trainer, pl_module: Any) -> None:
        print(json.dumps(pl_module.images_seen / (time.perf_counter() - self.started)))


def train(threads: str, seconds: float) -> None:
    for message in EXPECTED_WARNINGS:
        warnings.filterwarnings("ignore", message)
    cfg = compose(["callback=[]", "logger=[]", f"trainer.threads={threads}", "images=100000000"])
    OmegaConf.set_struct(cfg, False)
    torch.manual_seed(0)
    model, data = instantiate(cfg.model), instantiate(cfg.data)
    trainer = instantiate(cfg.trainer)(callbacks=[Clock(seconds)], logger=False, enable_checkpointing=False)
    trainer.fit(model, data)


@contextmanager
def busy(loops: list[tuple[float, float]], seconds: float) -> Iterator[None]:
    """A context in which busy loops run, each on a core of its own."""
    processes: list[subprocess.Popen[bytes]] = []
    timers = []

    def start(core: int) -> None:
        pin = f"import os; os.sched_setaffinity(0, [{core}])\nwhile True: pass"
        processes.append(subprocess.Popen([sys.executable, "-c", pin]))

    for core, (first, last) in zip(sorted(os.sched_getaffinity(0)), loops, strict=False):
        if first == 0:
            start(core)
        else:
            timers.append(Timer(START + first * seconds, start, [core]))
        if last < 1:
            timers.append(Timer(START + last * seconds, lambda: processes[-1].kill()))
    for timer in timers:
        timer.start()
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()
        for process in processes:
            process.kill()


def speed(threads: str, seconds: float, loops: list[tuple[float, float]]) -> float:
    """Return the images/s of a run."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    }
    words = [sys.executable, __file__, "--threads", threads, "--seconds", str(seconds)]
    with busy(loops, seconds):
        result = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    return float(result.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="seconds of a run (default: %(default)s)")
    parser.add_argument("--threads", help=argparse.SUPPRESS)  # train in this process
    arguments = parser.parse_args()
    if arguments.threads:
        train(arguments.threads, arguments.seconds)
        return
    cores = len(os.sched_getaffinity(0))
    numbers = sorted({1, max(1, cores // 2), cores})
    print("| machine |", " | ".join(f"{count} threads" for count in numbers), "| auto | auto / best |")
    for name, loops in CASES.items():
        fixed = [speed(str(count), arguments.seconds, loops) for count in numbers]
        auto = speed("auto", arguments.seconds, loops)
        print(
            f"| {name} |",
            " | ".join(f"{x:.0f}" for x in fixed),
            f"| {auto:.0f} | {auto / max(fixed):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
