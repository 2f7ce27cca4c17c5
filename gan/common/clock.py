"""The clock of images, and random numbers as functions of it."""

from __future__ import annotations

import hashlib


def crosses(before: int, after: int, interval: int) -> bool:
    """Whether a multiple of `every` images lies in (before, after]: when something periodic is due."""
    return after // interval > before // interval


def widens(before: int, after: int, first: int, interval: int) -> bool:
    """Whether first, 2 first, 4 first ... below `every`, or a multiple of `every`, lies in (before, after].

    What is learned in so many images again and again doubles them: soon at first, seldom later.
    """
    while first < interval:
        if before < first <= after:
            return True
        first *= 2
    return crosses(before, after, interval)


def seed_of(*key: object) -> int:
    """A seed in 0..2^63-1 that is a function of the key alone, the same in every process and on every machine."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "big") >> 1
