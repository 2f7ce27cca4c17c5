"""Time measured in images, and seeds that depend on a key alone."""

from __future__ import annotations

import hashlib


def crosses(before: int, after: int, interval: int) -> bool:
    """Whether a multiple of `interval` images lies in (before, after]; then a periodic action is due."""
    return after // interval > before // interval


def crosses_doubling(before: int, after: int, first: int, interval: int) -> bool:
    """Whether one of first, 2 first, 4 first ... below `interval`, or a multiple of it, lies in (before, after].

    Early in training more happens per image, so actions start frequent and become rarer.
    """
    while first < interval:
        if before < first <= after:
            return True
        first *= 2
    return crosses(before, after, interval)


def seed_of(*key: object) -> int:
    """A seed in 0..2^63-1 that depends on the key alone; the same in every process and on every machine."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "big") >> 1
