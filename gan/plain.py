"""Whether what a file holds is as plain as what people write: of a depth, a size and types that they would use.

No torch, so that commands start at once.
"""

from __future__ import annotations

from typing import Any

MOST_VALUES, DEEPEST, LONGEST_TEXT = 100_000, 32, 100_000  # of all; dictionaries in dictionaries; characters


def unlike_configuration(config: dict[Any, Any]) -> str | None:
    """Why a dictionary is not as YAML has it, of a size that people write; or None if it is.

    Not by recursion: it may be deeper than that goes, and hold one list a million times.
    """
    left: list[tuple[Any, int]] = [(config, 0)]
    seen = 0
    while left:
        value, depth = left.pop()
        seen += 1
        if depth > DEEPEST or seen + len(left) > MOST_VALUES:
            return "is too deep or too large"
        if isinstance(value, dict):
            if not all(isinstance(key, str) and len(key) <= LONGEST_TEXT for key in value):
                return "has names that are no texts"
            inside = list(value.values())
        elif isinstance(value, list | tuple):
            inside = list(value)
        elif isinstance(value, str) and len(value) > LONGEST_TEXT:
            return "holds a text that is too long"
        elif isinstance(value, int) and abs(value) >= 2**64:
            return "holds a number that is too large"
        elif not isinstance(value, str | int | float | None):
            return f"holds a {type(value).__name__}"
        else:
            continue
        if len(inside) > MOST_VALUES:
            return "is too deep or too large"
        left += [(each, depth + 1) for each in inside]
    return None
