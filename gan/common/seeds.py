"""Parse seeds as users type them."""

from __future__ import annotations

import re

from gan.common.errors import UserError

MAX_SEEDS = 10_000_000


def parse_seeds(text: str, name: str = "--seeds") -> list[int]:
    """Parse seeds without duplicates: "0-3,42,1" -> [0, 1, 2, 3, 42]. `name` is the option in messages."""
    return list(dict.fromkeys(parse_seed_list(text, name)))


def parse_seed_list(text: str, name: str = "--seeds", most: int = MAX_SEEDS) -> list[int]:
    """Parse seeds with duplicates: "0-3,42,1" -> [0, 1, 2, 3, 42, 1]. `name` is the option in messages.

    Raises:
        UserError: the text is not a list of seeds, or has more than `most`.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not first <= last < 1 << 63:
            raise UserError(f"{name} {text}: {part!r} is neither a whole number nor a range below 2^63; write 0-15,42")
        if len(seeds) + last - first >= most:  # before they take memory
            raise UserError(f"{name} {text}: too many seeds; give at most {most:,}")
        seeds += range(first, last + 1)
    return seeds
