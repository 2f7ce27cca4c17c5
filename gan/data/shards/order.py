"""Which shards are held out, and the order of the images. Both depend only on the numbers of images in the shards.

Position p of a batch is always taken from the same group of shards. A group has one shard in memory at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gan.common.errors import UserError
from gan.data.split import check_fraction

MAX_GROUPS = 32  # a batch takes images from all groups, and one shard of each group is in memory
MIN_SHARDS_PER_GROUP = 4  # with fewer, images of small groups would be used noticeably more often
SPLIT_SEED = 0  # runs with other seeds hold out the same images


def held_out_shards(count: int, validation: float | None) -> np.ndarray:
    """Return a mask, bool (count,), of the shards that are held out: a fraction of them, at least one, or none.

    Raises:
        UserError: the fraction is not between 0 and 1, or no shard would be left for training.
    """
    mask = np.zeros(count, bool)
    if validation is None:
        return mask
    check_fraction(validation)
    number = max(1, round(validation * count))
    if number >= count:
        shards = "the only shard" if count == 1 else f"all {count} shards"
        raise UserError(f"data.validation={validation}: would hold out {shards}; use a smaller fraction, or null")
    mask[np.random.default_rng((SPLIT_SEED, 4)).permutation(count)[:number]] = True
    return mask


class ShardGroup:
    """The endless order of a group of shards. Each epoch shuffles the shards and the images in each shard."""

    def __init__(self, shards: np.ndarray, sizes: np.ndarray, key: tuple[int, ...]) -> None:
        self.shards = shards
        self.sizes = sizes[shards]
        self.key = key
        self.length = int(self.sizes.sum())
        self.epoch, self.order, self.ends = -1, np.empty(0, np.int64), np.empty(0, np.int64)  # results of the last call
        self.turn, self.inside = -1, np.empty(0, np.int64)

    def at(self, place: int) -> tuple[int, int]:
        """Return the shard of image `place` of the group and its index there. They depend only on (key, place)."""
        epoch, place = divmod(place, self.length)
        if epoch != self.epoch:
            self.order = np.random.default_rng((*self.key, epoch)).permutation(len(self.shards))
            self.ends = self.sizes[self.order].cumsum()
            self.epoch, self.turn = epoch, -1
        turn = int(np.searchsorted(self.ends, place, side="right"))
        shard = self.order[turn]
        if turn != self.turn:
            self.inside = np.random.default_rng((*self.key, epoch, turn)).permutation(int(self.sizes[shard]))
            self.turn = turn
        return int(self.shards[shard]), int(self.inside[place - self.ends[turn] + self.sizes[shard]])


def shard_groups(sizes: Sequence[int], batch_size: int, seed: int) -> list[ShardGroup]:
    """Return random groups of shards. The number of groups divides the batch size and is at most MAX_GROUPS."""
    count = max(n for n in range(1, min(MAX_GROUPS, batch_size) + 1) if batch_size % n == 0 and (
        n == 1 or n * MIN_SHARDS_PER_GROUP <= len(sizes)))  # fmt: skip
    order = np.random.default_rng((seed, 2)).permutation(len(sizes))
    return [ShardGroup(order[group::count], np.array(sizes), (seed, 3, group)) for group in range(count)]
