"""Read the rows of the jobs of a sweep, which `gan.run.sweep` writes. No torch and no Hydra."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from gan.common.untrusted import read_json
from gan.run.metrics import is_number
from gan.run.run_folder import ROWS


def read_row(path: Path) -> dict[str, Any] | None:
    """Return the row of a job; None if there is none, or if it was not written by `Summary.write`."""
    try:
        row = read_json(path)
    except (OSError, ValueError):
        return None
    return row if isinstance(row, dict) and is_valid(row) else None


def is_valid(row: dict[str, Any]) -> bool:
    """Return whether the values of a row have the types and ranges that `Summary.write` gives them."""
    texts = [row.get(name) for name in ("name", "status", "run", "error")]
    job, options, seconds = row.get("job"), row.get("options"), row.get("seconds")
    numbers: list[Any] = [seconds, 0.0 if row.get("objective") is None else row["objective"]]
    return (
        all(isinstance(text, str) for text in texts)
        and isinstance(job, int)
        and isinstance(options, dict)
        and all(isinstance(value, str) for value in options.values())
        and all(is_number(value) and math.isfinite(value) for value in numbers)
    )


def read_rows(sweep: Path) -> list[dict[str, Any]]:
    """Return the rows of all jobs: the lowest objective first, jobs without one last."""
    rows = [row for path in (sweep / ROWS).glob("*.json") if (row := read_row(path))]
    return sorted(rows, key=lambda row: (row["objective"] is None, row["objective"] or 0.0, row["job"]))
