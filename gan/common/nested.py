"""Nested dicts as dotted keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Return nested dicts as one dict with dotted keys, {"data.size": 64, ...}. An empty dict is a leaf."""
    if not isinstance(tree, dict) or not tree:
        return {prefix: tree}
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves.update(flatten(value, f"{prefix}.{key}" if prefix else str(key)))
    return leaves


def short_name(name: str, names: Sequence[str]) -> str:
    """Return the shortest tail of a dotted name that no other name ends with; `._target_` is omitted."""
    parts = name.removesuffix("._target_").split(".")
    for count in range(1, len(parts)):
        tail = ".".join(parts[-count:])
        if sum(other.removesuffix("._target_").endswith(f".{tail}") for other in names) == 1:
            return tail
    return ".".join(parts)
