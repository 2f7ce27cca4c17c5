"""Call a logger in a thread of its own, so that a slow or broken one never stops training."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from gan import contracts
from gan.common.errors import UserError, to_line
from gan.common.output import print_line
from gan.run.lock import is_lost
from gan.run.run_folder import METRICS
from gan.run.secrets import hide

MAX_WAITING = 1000  # calls that wait for a slow logger; later ones are dropped
PATIENCE = {"success": 60.0, "failed": 5.0}  # seconds to wait at the end for calls that are not yet done


class Background(Logger):
    """Passes calls on to another logger in a thread of its own, in order.

    The first exception of the logger is printed; training continues, and so do later calls, because a server may come
    back. What a logger lacks, such as images, is skipped.

    Args:
        label: name of the logger in messages, as in conf/logger.
        make: returns the logger.
        run: the run folder.
    """

    name, version = "background", ""

    def __init__(self, label: str, make: Callable[[], Any], run: Path) -> None:
        super().__init__()
        self.label = label
        self.make = make
        self.run = run
        self.logger: Any = None
        self.calls: queue.Queue[tuple[str, tuple[Any, ...]] | None] = queue.Queue(MAX_WAITING)
        self.thread: threading.Thread | None = None
        self.warned = False

    def open(self) -> None:
        """Create the logger, and print where it logs to. Until then, and on other ranks, nothing is logged.

        Raises:
            UserError: its options are wrong, its package is missing, or its server does not answer.
        """
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
        self.thread = threading.Thread(target=self.work, name=f"logger {self.label}", daemon=True)
        self.thread.start()

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.send("log_metrics", dict(metrics), step)

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: `add_config` logs the configuration."""

    def add_png(self, name: str, png: bytes, images: int) -> None:
        self.send("add_png", name, png, images)

    def add_text(self, name: str, text: str, images: int) -> None:
        self.send("add_text", name, text, images)

    def add_config(self, config: dict[str, Any], choices: Mapping[str, Any], score: str) -> None:
        """Log the configuration; a logger of Lightning gets it as hyper-parameters."""
        if self.logger is not None and not hasattr(self.logger, "add_config"):
            self.send("log_hyperparams", config)
        else:
            self.send("add_config", config, choices, score)

    def send(self, method: str, *arguments: Any) -> None:
        """Queue a call of the logger. It is dropped if the logger is too slow or lacks the method."""
        if self.thread is None or not hasattr(self.logger, method) or is_lost(self.run):
            return
        try:
            self.calls.put_nowait((method, arguments))
        except queue.Full:
            self.warn(f"more than {MAX_WAITING} calls wait")

    def work(self) -> None:
        """Do the queued calls until the queue has None."""
        while (call := self.calls.get()) is not None:
            method, arguments = call
            try:
                getattr(self.logger, method)(*arguments)
            except Exception as error:  # each logger has its own
                self.warn(hide(to_line(error)) or type(error).__name__)

    def warn(self, text: str) -> None:
        """Print that something was not logged, once."""
        if not self.warned:
            print_line(f"{self.label}: not logged ({text}); training continues, and {METRICS} has all values")
        self.warned = True

    def finalize(self, status: str) -> None:
        """Wait for the queued calls, but not for ever: a server may be away."""
        if self.thread is None:
            return
        self.send("finalize", status)
        self.send_end()
        self.thread.join(PATIENCE["success" if status == "success" else "failed"])
        if self.thread.is_alive():
            print_line(f"{self.label}: does not answer; {METRICS} has the values that are not logged")
        self.thread = None

    def send_end(self) -> None:
        """Let the thread end after the calls before this one."""
        with contextlib.suppress(queue.Full):  # the thread is a daemon and ends with the process
            self.calls.put_nowait(None)


def add_png(logger: Any, name: str, png: bytes, images: int) -> None:
    """Show a PNG with a logger, if it can show images."""
    if hasattr(logger, "add_png"):
        logger.add_png(name, png, images)


def add_text(logger: Any, name: str, text: str, images: int) -> None:
    """Show markdown with a logger, if it can show text."""
    if hasattr(logger, "add_text"):
        logger.add_text(name, text, images)
