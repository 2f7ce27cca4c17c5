"""Measure which operations take the time of training steps: debug=profile."""

from __future__ import annotations

from pathlib import Path

from lightning import Callback, Trainer
from torch.profiler import ProfilerActivity, profile, record_function

from gan.training.module import GAN
from gan.utils.errors import at_least
from gan.utils.output import print_line

TABLE, TRACE = "profile.txt", "trace.json"
ROWS = 40


class Profile(Callback):
    """Writes profile.txt, a table of operations by their own time, and trace.json for ui.perfetto.dev or Chrome.

    Rank 0 measures `steps` training steps after `skip` others, in which memory is allocated and kernels are chosen.
    """

    def __init__(self, run: str, skip: int = 5, steps: int = 20) -> None:
        self.run = Path(run)
        self.skip = at_least("callback.profile.skip", skip, 0)
        self.steps = at_least("callback.profile.steps", steps, 1)
        self.batches = 0  # of this process
        self.profiler: profile | None = None
        self.region: record_function | None = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        self.batches += 1
        if self.batches == self.skip + 1 and trainer.is_global_zero:
            cuda = [ProfilerActivity.CUDA] if pl_module.device.type == "cuda" else []
            self.profiler = profile(activities=[ProfilerActivity.CPU, *cuda])
            self.profiler.start()
        if self.profiler is not None:
            self.region = record_function("training step")  # in the trace: evaluations and grids are not in it
            self.region.__enter__()

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        if self.region is not None:
            self.region.__exit__(None, None, None)
            self.region = None
        if self.batches == self.skip + self.steps:
            self.on_train_end(trainer, pl_module)

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        if self.profiler is None:
            return
        self.profiler.stop()
        key = "self_cuda_time_total" if pl_module.device.type == "cuda" else "self_cpu_time_total"
        table = self.profiler.key_averages().table(sort_by=key, row_limit=ROWS, max_name_column_width=50)
        (self.run / TABLE).write_text(table)
        self.profiler.export_chrome_trace(str(self.run / TRACE))
        measured = min(self.batches - self.skip, self.steps)
        print_line(f"profile: {self.run / TABLE} has the operations of {measured} steps, {TRACE} their order")
        self.profiler = None
