"""Measure which operations take the time of training steps: debug=profile."""

from __future__ import annotations

from pathlib import Path

import torch
from lightning import Callback, Trainer
from torch.profiler import ProfilerActivity, profile, record_function

from gan.common.errors import at_least
from gan.common.output import print_line
from gan.training.module import GAN

TABLE, TRACE = "profile.txt", "trace.json"
ROWS = 40


class Profile(Callback):
    """Writes profile.txt, a table of operations by their own time, and trace.json for ui.perfetto.dev or Chrome.

    Only training steps are measured, not evaluations, grids and checkpoints, on rank 0.

    Args:
        run: the run folder.
        skip: training steps before the measurement, in which memory is allocated and kernels are chosen.
        steps: training steps to measure.
    """

    def __init__(self, run: str, skip: int = 5, steps: int = 20) -> None:
        self.run = Path(run)
        self.skip = at_least("callback.profile.skip", skip, 0)
        self.steps = at_least("callback.profile.steps", steps, 1)
        self.step = self.measured = 0
        self.profiler: profile | None = None
        self.region: record_function | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        self.step += 1
        if not trainer.is_global_zero or not self.skip < self.step <= self.skip + self.steps:
            return
        if self.profiler is None:
            self.profiler = profile(activities=activities(pl_module.device))
            self.profiler.start()
        self.region = record_function("training step")
        self.region.__enter__()

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        if self.region is not None:
            self.region.__exit__(None, None, None)
            self.region = None
            self.measured += 1
        if self.step == self.skip + self.steps:
            self.write(pl_module.device)

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        self.write(pl_module.device)

    def write(self, device: torch.device) -> None:
        """Stop the measurement, if it runs, and write its files."""
        if self.profiler is None:
            return
        self.profiler.stop()
        key = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
        table = self.profiler.key_averages().table(sort_by=key, row_limit=ROWS, max_name_column_width=50)
        (self.run / TABLE).write_text(table)
        self.profiler.export_chrome_trace(str(self.run / TRACE))
        print_line(f"profile: {self.run / TABLE} has the operations of {self.measured} steps, {TRACE} their order")
        self.profiler = None


def activities(device: torch.device) -> list[ProfilerActivity]:
    """Return what to measure: the CPU, and CUDA's kernels if training uses them."""
    return [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
