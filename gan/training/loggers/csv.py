"""Scalars as a table for spreadsheets and pandas: RUN/metrics.csv."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger

from gan.common.files import write_atomically
from gan.run.metrics import read_metrics
from gan.run.run_folder import METRICS, METRICS_CSV


class CSV(Logger):
    """Writes a row per logged step to RUN/metrics.csv: the images seen, then a column per name.

    A new name adds a column, for which the file is written again. A resumed run starts with the rows of metrics.jsonl,
    so that no row is missing or doubled even if the run was started without this logger.

    Args:
        run: the run folder.
        resumed_at: images seen at the checkpoint to resume from.
    """

    name, version = "csv", ""

    def __init__(self, run: str, resumed_at: int | None = None) -> None:
        super().__init__()
        self.path = Path(run) / METRICS_CSV
        lines = [] if resumed_at is None else read_metrics(Path(run) / METRICS)
        self.rows = [without_time(line) for line in lines if line["images"] <= (resumed_at or 0)]
        self.columns = ["images"]
        if self.rows:
            self.rewrite()

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        row = {"images": step, **metrics}
        self.rows.append(row)
        if not set(row) <= set(self.columns) or not self.path.exists():
            self.rewrite()
            return
        with open(self.path, "a", newline="") as file:
            csv.DictWriter(file, self.columns).writerow(row)

    def rewrite(self) -> None:
        """Write all rows, with a column per name in the order of appearance."""
        self.columns = list(dict.fromkeys(name for row in ({"images": 0}, *self.rows) for name in row))
        text = io.StringIO(newline="")
        table = csv.DictWriter(text, self.columns)
        table.writeheader()
        table.writerows(self.rows)
        write_atomically(self.path, lambda file: file.write(text.getvalue().encode()))

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: config.yaml has them."""


def without_time(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line of metrics.jsonl without its times, which loggers do not get."""
    return {name: value for name, value in line.items() if name not in ("time", "seconds")}
