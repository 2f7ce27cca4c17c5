"""Nested containers: dotted keys, and paths in them whose home folder is stored as ~."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
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


def without_home(value: Any) -> Any:
    """Return nested containers, in which paths below the home folder begin with ~."""
    return map_strings(value, _shorten)


def with_home(value: Any) -> Any:
    """Return a path, or nested containers of paths, with ~ expanded as a shell does."""
    return map_strings(value, os.path.expanduser)


def _shorten(path: str) -> str:
    home = os.path.expanduser("~").rstrip(os.sep)
    if home and (path == home or path.startswith(home + os.sep)):
        return "~" + path[len(home) :]
    return path


def map_strings(value: Any, change: Callable[[str], str]) -> Any:
    """Return nested containers with a function applied to every string in them; keys stay as they are."""
    if isinstance(value, dict):
        return {key: map_strings(each, change) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [map_strings(each, change) for each in value]
    return change(value) if isinstance(value, str) else value
