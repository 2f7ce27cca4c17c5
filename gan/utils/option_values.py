"""Values of options: nested ones and their dotted names, NAME=VALUE, sizes, and numbers of processes."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from gan.utils.errors import UserError, at_least

REMOTE = ("s3://", "gs://")  # beginnings of addresses in object storage; see `gan.utils.object_store`
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


def is_remote(text: object) -> bool:
    return isinstance(text, str) and text.startswith(REMOTE)


def check_workers(value: object) -> int:
    """Return data.num_workers if it is an integer from 0 to max(FEW, PER_CORE x cores); otherwise raise UserError."""
    return at_most("data.num_workers", at_least("data.num_workers", value, 0), max(FEW, PER_CORE * cores()))


def check_cpu_devices(count: int) -> None:
    """Raise UserError if a run on the CPU asks for more processes than PER_CORE x cores."""
    at_most("trainer.devices", count, PER_CORE * cores())


def cores() -> int:
    return os.cpu_count() or 1


def at_most(name: str, count: int, limit: int) -> int:
    if count > limit:
        raise UserError(f"{name}={count}: is too large for the CPU of this machine; use at most {limit}")
    return count


def quote(path: Path | str) -> str:
    """Return a path as a quoted value of Hydra's grammar, where a backslash is an escape only before a quote."""
    text = re.sub(r"(\\*)'", r"\1\1\\'", str(path))
    return "'" + re.sub(r"(\\+)$", r"\1\1", text) + "'"


# ---- nested containers


def flatten(tree: object, prefix: str = "") -> dict[str, Any]:
    """Return nested dicts as one dict with dotted keys, {"data.size": 64, ...}. An empty dict is a leaf."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    leaves = [flatten(value, f"{prefix}.{key}" if prefix else str(key)) for key, value in tree.items()]
    return {name: value for part in leaves for name, value in part.items()}


def short_name(name: str, names: Sequence[str]) -> str:
    """Return the shortest tail of a dotted name that no other name ends with; `._target_` is omitted."""
    parts = name.removesuffix("._target_").split(".")
    for count in range(1, len(parts)):
        tail = ".".join(parts[-count:])
        if sum(other.removesuffix("._target_").endswith(f".{tail}") for other in names) == 1:
            return tail
    return ".".join(parts)


def without_home(value: object) -> Any:
    """Return nested containers, in which paths below the home folder begin with ~."""
    return map_strings(value, _shorten)


def with_home(value: object) -> Any:
    """Return a path, or nested containers of paths, with ~ expanded as a shell does."""
    return map_strings(value, os.path.expanduser)


def _shorten(path: str) -> str:
    home = os.path.expanduser("~").rstrip(os.sep)
    if home and (path == home or path.startswith(home + os.sep)):
        return "~" + path[len(home) :]
    return path


def map_strings(value: object, change: Callable[[str], str]) -> Any:
    """Return nested containers with a function applied to every string in them; keys stay as they are."""
    if isinstance(value, dict):
        return {key: map_strings(each, change) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [map_strings(each, change) for each in value]
    return change(value) if isinstance(value, str) else value
