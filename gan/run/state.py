"""What a run is and how far it is: its model, length, status and best score, from its files. No torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from gan.common.errors import UserError
from gan.run import checkpoints, lock


def target(config: dict[str, Any], *names: str) -> str:
    """Return the name of the module that a section of a configuration builds, such as dcgan."""
    node: Any = config
    for name in names:
        node = node.get(name) if isinstance(node, dict) else None
    words = str(node.get("_target_") if isinstance(node, dict) else "").split(".")
    return words[-2] if len(words) > 1 else "?"


def goal(config: dict[str, Any]) -> str:
    """Return the length of a run as text."""
    lengths = [f"{config['images']:,}"] if isinstance(config.get("images"), int) else []
    lengths += [f"{config['minutes']:g} min"] if isinstance(config.get("minutes"), int | float) else []
    return f" of {' or '.join(lengths)}" if lengths else ""


def status(folder: Path, config: dict[str, Any], saved: bool, seen: int, seconds: float) -> str:
    """Return whether a run is running, finished, stopped before its end, or has no checkpoint."""
    if lock.is_held(folder):
        return "running"
    if not saved:
        return "no checkpoint"
    images, minutes = config.get("images"), config.get("minutes")
    enough = isinstance(images, int) and seen >= images
    long_enough = isinstance(minutes, int | float) and seconds >= 60 * minutes
    return "finished" if enough or long_enough else "stopped"


def best_score(folder: Path) -> str:
    """Return the best score of a run with its name, or "-"."""
    try:
        record = checkpoints.best_record(folder) or {}
    except UserError:
        return "?"
    score = record.get("score")
    if not isinstance(score, int | float) or not math.isfinite(score):
        return "-"
    return f"{str(record.get('monitor')).removeprefix('eval/')} {score:.4g}"
