"""TensorBoard's event files in the run folder."""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping
from typing import Any

import yaml
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard.summary import hparams


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
        self.resumed = resumed_at is not None
        self.failed = False  # the writer's thread has ended, for example because the disk is full
        self.ending: Summary | None = None  # ends the choices under HPARAMS

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        for name, value in metrics.items():  # Lightning's method reports a full disk as a wrong type
            self.add(Summary(value=[Summary.Value(tag=name, simple_value=value)]), step)

    def add_png(self, name: str, png: bytes, images: int) -> None:
        """Show a PNG under IMAGES unchanged; the writer's add_image would encode it again."""
        self.add(Summary(value=[Summary.Value(tag=name, image=Summary.Image(encoded_image_string=png))]), images)

    def add_text(self, name: str, text: str, images: int) -> None:
        """Show markdown under TEXT."""
        self.experiment.add_text(name, text, images)

    def add_config(self, config: dict[str, Any], choices: Mapping[str, str | float | bool], score: str) -> None:
        """Show the configuration under TEXT, and the choices with the scalar `score` under HPARAMS, of a new run."""
        if self.resumed:
            return
        self.add_text("config", f"```yaml\n{yaml.safe_dump(config, sort_keys=False)}\n```", 0)
        experiment, start, self.ending = hparams(dict(choices), {score: math.nan})
        self.add(experiment)
        self.add(start)

    def add(self, summary: Summary, images: int | None = None) -> None:
        """Write a summary. The writer's thread raises its OSError in a later call."""
        try:
            self.experiment.file_writer.add_summary(summary, images)
        except OSError:
            self.failed = True
            raise

    def save(self) -> None:
        """Do nothing: the writer's thread flushes by itself, and waiting for it never ends after a full disk."""

    def finalize(self, status: str) -> None:
        if self.failed:
            return
        if self.ending is not None:
            self.add(self.ending)
        self.experiment.close()


class IgnoreWriters:
    """A threading.excepthook that ignores OSErrors of TensorBoard's threads, which a later call raises again."""

    def __init__(self, before: Any) -> None:
        self.before = before

    def __call__(self, ended: Any) -> None:
        if not (isinstance(ended.exc_value, OSError) and type(ended.thread).__module__.startswith("tensorboard.")):
            self.before(ended)
