"""Values of options: NAME=VALUE, sizes and numbers of processes."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Sequence
from typing import Any

from gan.utils.errors import UserError, at_least

PER_CORE = 4  # processes; more of them only take memory, and a run folder from someone else may ask for thousands
FEW = 64  # processes that load data, which any machine may start


def parse_assignments(words: Iterable[str], example: str, where: str = "--set ") -> dict[str, float]:
    """Return the values by name: ["sefa0=2", "pca1=-.5"] -> {"sefa0": 2.0, "pca1": -0.5}.

    Args:
        example: such as "sefa0=2", for messages.
        where: what precedes a word where the user types it, for messages.
    """
    values: dict[str, float] = {}
    for word in words:
        name, _, value = word.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not name or name in values or not math.isfinite(number):
            raise UserError(f"{where}{word}: write NAME=VALUE, once and with a finite number, as in {example}")
        values[name] = number
    return values


def pair(size: Any) -> tuple[int, int]:
    """Return (height, width) in pixels of a size given as one side or as [height, width]."""
    sides = [size, size] if isinstance(size, int) else size
    wrong = isinstance(sides, str) or not isinstance(sides, Sequence) or len(sides) != 2
    if wrong or not all(isinstance(side, int) and side > 0 for side in sides):
        raise UserError(f"data.size={size}: give one side or [height,width] in pixels, such as data.size=[96,64]")
    return sides[0], sides[1]


def check_workers(value: object) -> int:
    """Return data.num_workers if it is an integer from 0 to max(FEW, PER_CORE x cores); otherwise raise UserError."""
    return check_processes("data.num_workers", at_least("data.num_workers", value, 0), FEW, "this machine")


def check_cpu_devices(count: int) -> None:
    """Raise UserError if a run on the CPU asks for more processes than PER_CORE x cores."""
    check_processes("trainer.devices", count, 0, "the CPU of this machine")


def check_processes(name: str, count: int, few: int, where: str) -> int:
    limit = max(few, PER_CORE * (os.cpu_count() or 1))
    if count > limit:
        raise UserError(f"{name}={count}: is too large for {where}; use at most {limit}")
    return count
