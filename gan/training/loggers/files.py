"""The logs in the run folder: metrics.jsonl, which every run has and other parts read, and metrics.csv."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from gan.runs.lock import is_lost
from gan.runs.metrics import cut_metrics, read_metrics
from gan.runs.run_folder import METRICS, METRICS_CSV
from gan.utils.errors import reason
from gan.utils.files import write_bytes
from gan.utils.output import print_line


class File(Logger):
    """A logger of scalars that needs no configuration: config.yaml has it."""

    name, version = "file", ""

    def log_hyperparams(self, *_: object, **__: object) -> None:
        pass


class JSONLines(File):
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

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        if is_lost(self.path.parent):
            return
        line = {"images": step, "time": round(time.time(), 3), "seconds": round(self.clock(), 3), **metrics}
        try:
            with open(self.path, "a") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:  # the disk is full: the run goes on, and says so once
            if not self.failed:
                print_line(f"{self.path}: not written ({reason(error)}); training continues")
            self.failed = True


class CSV(File):
    """Writes a row per logged step to RUN/metrics.csv: the images seen, then a column per name in order of appearance.

    The whole file is written at each step, since a new name adds a column. A resumed run starts with the rows of
    metrics.jsonl, so that no row is missing or doubled even if the run was started without this logger.
    """

    def __init__(self, run: str, resumed_at: int | None = None) -> None:
        super().__init__()
        self.path = Path(run) / METRICS_CSV
        lines = [] if resumed_at is None else read_metrics(Path(run) / METRICS)
        self.rows = [
            {name: value for name, value in line.items() if name not in ("time", "seconds")}
            for line in lines
            if line["images"] <= (resumed_at or 0)
        ]

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.rows.append({"images": step, **metrics})
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, list(dict.fromkeys(name for row in self.rows for name in row)))
        table.writeheader()
        table.writerows(self.rows)
        write_bytes(self.path, text.getvalue().encode())
