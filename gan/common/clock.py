"""Time measured in images, and seeds computed from a key."""

from __future__ import annotations

import hashlib


def crosses(before: int, after: int, interval: int) -> bool:
    """Return whether a periodic action is due: whether a multiple of `interval` images lies in (before, after]."""
    return after // interval > before // interval


def crosses_doubling(before: int, after: int, first: int, interval: int) -> bool:
    """Return whether an action is due whose interval doubles from `first` up to `interval` images.

    It is due if (before, after] contains one of first, 2 first, 4 first ... below `interval`, or a multiple of
    `interval`. Images change faster early in training, so actions are more frequent there.
    """
    while first < interval:
        if before < first <= after:
            return True
        first *= 2
    return crosses(before, after, interval)


def seed_of(*key: object) -> int:
    """Return a seed in 0..2^63-1 that depends on the key only. It is the same in every process and on every machine."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "big") >> 1
