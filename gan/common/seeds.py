"""Parse seeds as users type them."""

from __future__ import annotations

import re

from gan.common.errors import UserError

MAX_RANGE = 10_000_000  # seeds


def parse_seeds(text: str, name: str = "--seeds") -> list[int]:
    """Parse seeds without duplicates: "0-3,42,1" -> [0, 1, 2, 3, 42]. `name` is the option in messages."""
    return list(dict.fromkeys(parse_seed_list(text, name)))


def parse_seed_list(text: str, name: str = "--seeds") -> list[int]:
    """Parse seeds with duplicates: "0-3,42,1" -> [0, 1, 2, 3, 42, 1]. `name` is the option in messages."""
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        if not found:
            raise UserError(f"{name} {text}: {part!r} is neither a whole number nor a range; write 0-15,42")
        first, last = int(found.group(1)), int(found.group(2) or found.group(1))
        if last < first:
            raise UserError(f"{name} {text}: the range {part!r} is empty; write the smaller seed first")
        if last - first >= MAX_RANGE or last >= 1 << 63:
            raise UserError(f"{name} {text}: {part!r} has more than ten million seeds, or one of 2^63 or more")
        seeds += range(first, last + 1)
    return seeds
