"""The log of a run, metrics.jsonl. No torch."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from gan.common.files import write_atomically
from gan.common.untrusted import parse_json
from gan.run.run_folder import METRICS

MAX_LINE = 1 << 20  # characters


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a metrics.jsonl, each with its number of images.

    An incomplete last line, lines that this program does not write, and values that are not numbers are skipped.
    """
    lines = []
    for text in path.read_text(errors="replace").splitlines() if path.is_file() else []:
        try:
            line = parse_json(text[: MAX_LINE + 1])
        except ValueError:
            continue
        if isinstance(line, dict) and is_number(line.get("images")) and isinstance(line["images"], int):
            lines.append({name: value for name, value in line.items() if is_number(value)})
    return lines


def is_number(value: object) -> bool:
    """Return whether a value is a number that fits into 64 bits; integers in JSON can be longer."""
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63)


def cut_metrics(path: Path, images: int) -> None:
    """Remove the lines after `images`, because a resumed run logs them again."""
    kept = [line for line in read_metrics(path) if line["images"] <= images]
    write_atomically(path, lambda file: file.write("".join(json.dumps(line) + "\n" for line in kept).encode()))


def logged_objective(run: Path, name: str, mode: str) -> float:
    """Return the best or last logged value of `name` after training began; inf if it is missing or not finite.

    Args:
        mode: "best" is the smallest finite value, "last" the last value.
    """
    values = [line[name] for line in read_metrics(run / METRICS) if name in line and line["images"] > 0]
    finite = [value if math.isfinite(value) else math.inf for value in values] or [math.inf]
    return min(finite) if mode == "best" else finite[-1]
