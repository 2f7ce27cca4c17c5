"""Pass scalars and images to any logger of Lightning, without letting it stop training."""

from __future__ import annotations

import contextlib
import io
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from lightning import Trainer
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from PIL import Image

from gan import contracts
from gan.config.secrets import hide
from gan.runs.lock import is_lost
from gan.runs.metrics import read_metrics
from gan.runs.run_folder import METRICS
from gan.utils.errors import UserError, to_line
from gan.utils.output import print_line

MAX_WAITING = 1000  # calls that wait for a slow logger; later ones are dropped
PATIENCE = {"success": 60.0, "failed": 5.0}  # seconds to wait at the end for calls that are not yet done


class Adapter(Logger):
    """Calls a logger of Lightning in a thread, in order, so that a slow or broken one never stops training.

    The first exception of the logger is printed; later calls go on, because a server may come back. All loggers get
    scalars and the configuration; TensorBoard, W&B and MLflow also get images.

    Args:
        label: name of the logger in messages, as in conf/logger.
        make: returns the logger. If it has a member `where`, that is printed: its address, or how to show the values.
        run: the run folder.
    """

    name, version = "adapter", ""

    def __init__(self, label: str, make: Callable[[], Any], run: Path) -> None:
        super().__init__()
        self.label = label
        self.make = make
        self.run = run
        # A service keeps what it got from a part of the run that is trained again. metrics.jsonl is not yet cut here.
        self.reached = max((line["images"] for line in read_metrics(run / METRICS)), default=-1)
        self.logger: Any = None
        self.calls: queue.Queue[Callable[[], object] | None] = queue.Queue(MAX_WAITING)
        self.thread: threading.Thread | None = None
        self.warned = False
        self.hyperparameters: dict[str, Any] | None = None  # for TensorBoard, until the first score
        self.objective = ""

    def open(self) -> None:
        """Create the logger, and print where it logs to. Until then, and on other ranks, nothing is logged."""
        try:
            self.logger = self.make()
        except Exception as error:
            cause = error
            while cause.__cause__ is not None and not isinstance(cause, UserError):
                cause = cause.__cause__  # type: ignore[assignment]  # Hydra wraps what a class raises
            text = str(cause) if isinstance(cause, UserError) else f"logger={self.label}: {hide(to_line(cause))}"
            raise UserError(text) from error
        contracts.check(self.logger, contracts.Logger, f"logger={self.label}")
        if where := getattr(self.logger, "where", ""):
            print_line(f"{self.label}: {where}")
        if not isinstance(self.logger, WandbLogger | MLFlowLogger):
            self.reached = -1
        self.thread = threading.Thread(target=self.work, name=f"logger {self.label}", daemon=True)
        self.thread.start()

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        values = dict(metrics)
        self.send(lambda: self.logger.log_metrics(values, step), step)
        if self.hyperparameters is not None and self.objective in values:
            options, score = self.hyperparameters, {self.objective: values[self.objective]}
            self.hyperparameters = None  # later values of the score follow by its name
            self.send(lambda: self.logger.log_hyperparams(options, score, step), step)

    def log_hyperparams(self, *_: object, **__: object) -> None:
        """Do nothing: `log_config` logs the configuration."""

    def log_config(self, config: dict[str, Any], choices: dict[str, Any]) -> None:
        """Log the configuration of a new run; `choices` are the options that the user has typed, by name."""
        if isinstance(self.logger, TensorBoardLogger):
            text = f"```yaml\n{yaml.safe_dump(config, sort_keys=False)}\n```"
            self.send(lambda: self.logger.experiment.add_text("config", text, 0))
            self.hyperparameters, self.objective = choices, config["objective"]
        else:
            self.send(lambda: self.logger.log_hyperparams({**config, "overrides": choices}))

    def log_png(self, name: str, png: bytes, images: int) -> None:
        """Show an image at a number of images seen."""
        image, logger = Image.open(io.BytesIO(png)), self.logger
        if isinstance(self.logger, TensorBoardLogger):
            pixels = np.asarray(image)
            axes = "HWC"[: pixels.ndim]
            self.send(lambda: logger.experiment.add_image(name, pixels, images, dataformats=axes), images)
        elif isinstance(self.logger, WandbLogger):
            self.send(lambda: logger.log_image(name, [image], images), images)
        elif isinstance(self.logger, MLFlowLogger):
            self.send(lambda: logger.experiment.log_image(logger.run_id, image, key=name, step=images), images)

    def send(self, call: Callable[[], object], images: int | None = None) -> None:
        """Queue a call of the logger. It is dropped if the logger is too slow, or has the value already."""
        if self.thread is None or is_lost(self.run) or (images is not None and images <= self.reached):
            return
        try:
            self.calls.put_nowait(call)
        except queue.Full:
            self.warn(f"more than {MAX_WAITING} calls wait")

    def work(self) -> None:
        while (call := self.calls.get()) is not None:
            try:
                call()
            except Exception as error:  # each logger has its own
                self.warn(hide(to_line(error.__cause__ or error)) or type(error).__name__)

    def warn(self, text: str) -> None:
        if not self.warned:
            print_line(f"{self.label}: not logged ({text}); training continues, and {METRICS} has all values")
        self.warned = True

    def finalize(self, status: str) -> None:
        """Wait for the queued calls, but not forever: a server may be away, and the disk may be full."""
        if self.thread is None:
            return
        if isinstance(self.logger, TensorBoardLogger):  # its finalize also writes an empty hparams.yaml
            self.send(lambda: self.logger.experiment.close())
        else:
            self.send(lambda: self.logger.finalize(status))
        if isinstance(self.logger, WandbLogger):  # Lightning's finalize leaves the run open for the next job of a sweep
            self.send(lambda: self.logger.experiment.finish(exit_code=0 if status == "success" else 1))
        with contextlib.suppress(queue.Full):  # the thread is a daemon and ends with the process
            self.calls.put_nowait(None)
        self.thread.join(PATIENCE["success" if status == "success" and not self.warned else "failed"])
        if self.thread.is_alive():
            print_line(f"{self.label}: does not answer; {METRICS} has the values that are not logged")
        self.thread = None


def adapters(trainer: Trainer) -> list[Adapter]:
    return [logger for logger in trainer.loggers if isinstance(logger, Adapter)]
