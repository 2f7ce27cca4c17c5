"""The log of a run, metrics.jsonl, and the rows of the jobs of a sweep. No torch and no Hydra."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gan.runs.run_folder import METRICS, ROWS
from gan.utils.files import write_atomically
from gan.utils.untrusted import parse_json, read_json

MAX_LINE = 1 << 20  # bytes
ROW = {  # types of the values of a row, which `gan.config.sweep` writes
    "job": int,
    "options": dict,
    "name": str,
    "objective": int | float | None,
    "seconds": int | float,
    "status": str,
    "error": str,
    "run": str,
}


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a metrics.jsonl, each with its number of images; see `each_line`."""
    return list(each_line(path))


def each_line(path: Path, max_bytes: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the lines of a metrics.jsonl, each with its number of images. Only one line is in memory.

    An incomplete last line, lines that this program does not write, and values that are not numbers are skipped.

    Args:
        max_bytes: read only the first bytes; None: all.
    """
    for data in json_lines(path, max_bytes):
        if is_number(data.get("images")) and isinstance(data["images"], int):
            yield {name: value for name, value in data.items() if is_number(value)}


def json_lines(path: Path, max_bytes: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield the JSON objects in the lines of a file; other lines, and lines longer than MAX_LINE, are skipped."""
    if not path.is_file():
        return
    with open(path, "rb") as file:
        left, begins = math.inf if max_bytes is None else max_bytes, True
        while left > 0 and (data := file.readline(MAX_LINE + 1)):
            left -= len(data)
            whole, begins = begins, data.endswith(b"\n")
            if not whole or len(data) > MAX_LINE:
                continue
            try:
                found = parse_json(data.decode(errors="replace"))
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found


def is_number(value: object) -> bool:
    """Return whether a value is a number that fits into 64 bits; integers in JSON can be longer."""
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63)


def cut_metrics(path: Path, images: int) -> None:
    """Remove the lines after `images`, because a resumed run logs them again."""
    kept = [line for line in read_metrics(path) if line["images"] <= images]
    write_atomically(path, lambda file: file.write("".join(json.dumps(line) + "\n" for line in kept).encode()))


def first_scored(model: str) -> int:
    """Return the number of images from which on scores count: 0 for translators, which are also saved before training.

    Args:
        model: name of the class of the model.
    """
    return 0 if model.startswith("gan.training.translation.") else 1


def logged_objective(run: Path, name: str, mode: str, since: int = 1) -> float:
    """Return the best or last logged value of `name`; inf if it is missing or not finite.

    Args:
        mode: "best" is the smallest finite value, "last" the last value.
        since: images from which on values count; see `first_scored`.
    """
    values = [line[name] for line in read_metrics(run / METRICS) if name in line and line["images"] >= since]
    finite = [value if math.isfinite(value) else math.inf for value in values] or [math.inf]
    return min(finite) if mode == "best" else finite[-1]


def read_row(path: Path) -> dict[str, Any] | None:
    """Return the row of a job of a sweep; None if there is none, or if it was not written by this program."""
    try:
        row = read_json(path)
    except (OSError, ValueError):
        return None
    is_row = isinstance(row, dict) and all(isinstance(row.get(name), kind) for name, kind in ROW.items())
    return row if is_row else None


def read_rows(sweep: Path) -> list[dict[str, Any]]:
    """Return the rows of all jobs of a sweep: the lowest objective first, jobs without one last."""
    rows = [row for path in (sweep / ROWS).glob("*.json") if (row := read_row(path))]
    return sorted(rows, key=lambda row: (row["objective"] is None, row["objective"] or 0.0, row["job"]))
