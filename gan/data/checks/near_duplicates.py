"""Find near-duplicates by perceptual hashes."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise

import numpy as np

BLOCK = 2048  # hashes to compare with the others of their bucket at a time


def find_groups(hashes: np.ndarray, distance: int) -> list[list[int]]:
    """Return groups of indices of hashes, uint64 (N,), that differ in at most `distance` bits.

    Groups are transitive: each hash is near at least one other of its group. Hashes without a near one are omitted. The
    bits are divided into `distance` + 1 bands. Near hashes agree in at least one band, so only such pairs are compared.
    """
    distinct, place = np.unique(hashes, return_inverse=True)
    leader = np.arange(len(distinct))
    edges = np.linspace(0, 64, distance + 2).astype(int)
    for low, high in pairwise(edges.tolist()):
        band = (distinct >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(band, kind="stable")
        for bucket in np.split(order, np.flatnonzero(np.diff(band[order])) + 1):
            for one, other in _close(distinct, bucket, distance):
                a, b = _find(leader, one), _find(leader, other)
                leader[max(a, b)] = min(a, b)
    found = defaultdict(list)
    for index, one in enumerate(place.tolist()):
        found[_find(leader, one)].append(index)
    return [group for group in found.values() if len(group) > 1]


def _close(hashes: np.ndarray, bucket: np.ndarray, distance: int) -> list[tuple[int, int]]:
    """Return the pairs of a bucket that differ in at most `distance` bits."""
    if len(bucket) < 2:
        return []
    bits = np.unpackbits(hashes[bucket].view(np.uint8).reshape(-1, 8), axis=1).astype(np.float32)  # (n, 64)
    ones = bits.sum(1)
    pairs = []
    for first in range(0, len(bucket), BLOCK):
        part = slice(first, first + BLOCK)
        different = ones[part, None] + ones - 2 * bits[part] @ bits.T
        pairs += [
            (int(bucket[first + i]), int(bucket[j])) for i, j in np.argwhere(different <= distance) if first + i < j
        ]
    return pairs


def _find(leader: np.ndarray, one: int) -> int:
    while leader[one] != one:
        leader[one] = leader[leader[one]]
        one = int(leader[one])
    return one
