"""Where numbers go: TensorBoard's events and metrics.jsonl, both against images seen."""

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
from gan.run.lock import lost
from gan.run.run_folder import METRICS, cut_metrics


class TensorBoard(TensorBoardLogger):
    """Events in the run folder itself.

    Args:
        run: the run folder.
        resumed_at: images seen at the checkpoint that training goes on from; later events are void.
    """

    def __init__(self, run: str, resumed_at: int | None = None) -> None:
        purge: dict[str, Any] = {} if resumed_at is None else {"purge_step": resumed_at + 1}
        super().__init__(save_dir=run, name="", version="", default_hp_metric=False, flush_secs=10, **purge)
        if not isinstance(threading.excepthook, WithoutWriters):
            threading.excepthook = WithoutWriters(threading.excepthook)
        self.failed = False
        self.ending: Summary | None = None  # of the choices under HPARAMS

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        for name, value in metrics.items():  # Lightning's own would call a full disk a wrong type of value
            self.attempt(functools.partial(self.experiment.add_scalar, name, value, step))

    @rank_zero_only
    def add_png(self, name: str, png: bytes, images: int) -> None:
        """Show a picture under IMAGES as it is; the writer's own add_image would encode it once more."""
        summary = Summary(value=[Summary.Value(tag=name, image=Summary.Image(encoded_image_string=png))])
        self.attempt(lambda: self.experiment.file_writer.add_summary(summary, images))

    @rank_zero_only
    def add_text(self, name: str, text: str) -> None:
        """Show markdown under TEXT."""
        self.attempt(lambda: self.experiment.add_text(name, text))

    @rank_zero_only
    def add_choices(self, choices: Mapping[str, str | float | bool], score: str) -> None:
        """Show a run's choices under HPARAMS, with the scalar `score` beside them."""
        experiment, start, end = hparams(dict(choices), {score: math.nan})
        self.ending = end
        for summary in (experiment, start):
            self.attempt(functools.partial(self.experiment.file_writer.add_summary, summary))

    def save(self) -> None:
        """Nothing: the writer's thread flushes by itself, and waiting for one that a full disk has ended never ends."""

    @rank_zero_only
    def finalize(self, status: str) -> None:
        if self.ending is not None:
            self.attempt(functools.partial(self.experiment.file_writer.add_summary, self.ending))
        self.attempt(lambda: self.experiment.close())

    def attempt(self, write: Callable[[], object]) -> None:
        """A full disk is said once, and training goes on; the writer's thread raises its error at a later call."""
        if self.failed:
            return
        try:
            write()
        except OSError as error:
            self.failed = _say("TensorBoard's events", error)


class WithoutWriters:
    """What is said of errors that end threads, except those of TensorBoard's: `attempt` says them in a line."""

    def __init__(self, before: Callable[[Any], object]) -> None:
        self.before = before

    def __call__(self, ended: Any) -> None:
        if not (isinstance(ended.exc_value, OSError) and type(ended.thread).__module__.startswith("tensorboard.")):
            self.before(ended)


class JSONLines(Logger):
    """One line {"images": ..., "time": ..., NAME: VALUE, ...} a logged step, in RUN/metrics.jsonl."""

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
        if lost(self.path.parent):
            return
        line = {"images": step, "time": round(time.time(), 3), **metrics}
        try:
            with open(self.path, "a") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            self.failed = self.failed or _say(str(self.path), error)

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Nothing: config.yaml says it all."""


def _say(what: str, error: OSError) -> bool:
    print(f"{what}: not written ({reason(error)}); training goes on", flush=True)
    return True
