"""Loggers of scalars against images seen: TensorBoard and metrics.jsonl."""

from __future__ import annotations

import functools
import json
import math
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard.summary import hparams

from gan.common.errors import reason
from gan.common.output import print_line
from gan.run.lock import is_lost
from gan.run.metrics import cut_metrics
from gan.run.run_folder import METRICS


class TensorBoard(TensorBoardLogger):
    """TensorBoard's events in the run folder.

    Args:
        run: the run folder.
        resumed_at: images seen at the checkpoint to resume from; later events are discarded.
    """

    def __init__(self, run: str, resumed_at: int | None = None) -> None:
        purge: dict[str, Any] = {} if resumed_at is None else {"purge_step": resumed_at + 1}
        super().__init__(save_dir=run, name="", version="", default_hp_metric=False, flush_secs=10, **purge)
        if not isinstance(threading.excepthook, IgnoreWriters):
            threading.excepthook = IgnoreWriters(threading.excepthook)
        self.failed = False
        self.ending: Summary | None = None  # ends the choices under HPARAMS

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        for name, value in metrics.items():  # Lightning's method reports a full disk as a wrong type
            self.try_to(functools.partial(self.experiment.add_scalar, name, value, step))

    @rank_zero_only
    def add_png(self, name: str, png: bytes, images: int) -> None:
        """Show a PNG under IMAGES unchanged; the writer's add_image would encode it again."""
        summary = Summary(value=[Summary.Value(tag=name, image=Summary.Image(encoded_image_string=png))])
        self.try_to(lambda: self.experiment.file_writer.add_summary(summary, images))

    @rank_zero_only
    def add_text(self, name: str, text: str) -> None:
        """Show markdown under TEXT."""
        self.try_to(lambda: self.experiment.add_text(name, text))

    @rank_zero_only
    def add_choices(self, choices: Mapping[str, str | float | bool], score: str) -> None:
        """Show the choices of a run under HPARAMS, together with the scalar `score`."""
        experiment, start, end = hparams(dict(choices), {score: math.nan})
        self.ending = end
        for summary in (experiment, start):
            self.try_to(functools.partial(self.experiment.file_writer.add_summary, summary))

    def save(self) -> None:
        """Do nothing: the writer's thread flushes by itself, and waiting for it never ends after a full disk."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self.ending is not None:
            self.try_to(functools.partial(self.experiment.file_writer.add_summary, self.ending))
        self.try_to(lambda: self.experiment.close())

    def try_to(self, write: Callable[[], object]) -> None:
        """Write; if the disk is full, print a line once and continue. The writer raises its error in a later call."""
        if self.failed:
            return
        try:
            write()
        except OSError as error:
            self.failed = _report("TensorBoard's events", error)


class IgnoreWriters:
    """A threading.excepthook that ignores OSErrors of TensorBoard's threads, which `try_to` reports."""

    def __init__(self, before: Callable[[Any], object]) -> None:
        self.before = before

    def __call__(self, ended: Any) -> None:
        if not (isinstance(ended.exc_value, OSError) and type(ended.thread).__module__.startswith("tensorboard.")):
            self.before(ended)


class JSONLines(Logger):
    """Writes a line {"images": ..., "time": ..., NAME: VALUE, ...} per logged step to RUN/metrics.jsonl."""

    def __init__(self, run: str, resumed_at: int | None = None) -> None:
        super().__init__()
        self.path = Path(run) / METRICS
        self.failed = False
        if resumed_at is not None:
            rank_zero_only(cut_metrics)(self.path, resumed_at)

    @property
    def name(self) -> str:
        return "metrics"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if is_lost(self.path.parent):
            return
        line = {"images": step, "time": round(time.time(), 3), **metrics}
        try:
            with open(self.path, "a") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            self.failed = self.failed or _report(str(self.path), error)

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: config.yaml has them."""


def _report(what: str, error: OSError) -> bool:
    """Print that something was not written; True."""
    print_line(f"{what}: not written ({reason(error)}); training continues")
    return True
