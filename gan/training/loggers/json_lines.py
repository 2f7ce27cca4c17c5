"""The log of a run that every other part reads, metrics.jsonl. It cannot be switched off."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from gan.common.errors import reason
from gan.common.output import print_line
from gan.run.lock import is_lost
from gan.run.metrics import cut_metrics
from gan.run.run_folder import METRICS


class JSONLines(Logger):
    """Writes a line {"images": ..., "time": ..., "seconds": ..., NAME: VALUE, ...} per step to RUN/metrics.jsonl.

    Args:
        clock: returns the seconds of training so far; `time` is that of the day.
        resumed_at: images seen at the checkpoint of a resumed run; later lines are removed.
    """

    def __init__(self, run: str, clock: Callable[[], float], resumed_at: int | None = None) -> None:
        super().__init__()
        self.path = Path(run) / METRICS
        self.clock = clock
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
        line = {"images": step, "time": round(time.time(), 3), "seconds": round(self.clock(), 3), **metrics}
        try:
            with open(self.path, "a") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            if not self.failed:
                print_line(f"{self.path}: not written ({reason(error)}); training continues")
            self.failed = True

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: config.yaml has them."""
