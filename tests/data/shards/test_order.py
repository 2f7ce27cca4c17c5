"""The order of a stream, and which shards are held out."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest

from gan.common.errors import UserError
from gan.data.shards.order import ShardGroup, held_out_shards, shard_groups


def test_a_shard_group_shows_each_image_once_per_epoch() -> None:
    lane = ShardGroup(np.array([4, 1, 7]), np.array([0, 3, 0, 0, 5, 0, 0, 2]), (0,))
    epochs = [[lane.at(place) for place in range(start, start + 10)] for start in (0, 10, 20)]
    everything = [(4, i) for i in range(5)] + [(1, i) for i in range(3)] + [(7, i) for i in range(2)]
    assert all(sorted(epoch) == sorted(everything) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    for epoch in epochs:  # one shard after another
        assert len([1 for one, two in pairwise(epoch) if one[0] != two[0]]) == 2


@pytest.mark.parametrize(
    ("count", "batch", "expected"), [(1, 8, 1), (8, 8, 2), (1000, 64, 32), (1000, 20, 20), (40, 7, 7)]
)
def test_number_of_shard_groups(count: int, batch: int, expected: int) -> None:
    found = shard_groups([10] * count, batch, 0)
    assert len(found) == expected
    assert sorted(shard for lane in found for shard in lane.shards.tolist()) == list(range(count))


def test_the_order_is_that_of_earlier_versions() -> None:
    """Their runs can be resumed."""
    places = [group.at(place) for group in shard_groups([5, 7, 3] * 8, 6, 1) for place in range(0, 200, 3)]
    assert hashlib.sha256(repr(places).encode()).hexdigest().startswith("d8acc232112255da")


@pytest.mark.parametrize(
    ("count", "fraction", "expected"), [(64, None, 0), (64, 0.1, 6), (2, 0.1, 1), (3, 0.5, 2), (2000, 0.1, 200)]
)
def test_held_out_shards(count: int, fraction: float | None, expected: int) -> None:
    mask = held_out_shards(count, fraction)
    assert mask.shape == (count,) and mask.sum() == expected
    assert np.array_equal(mask, held_out_shards(count, fraction))


@pytest.mark.parametrize(("count", "fraction", "error"), [
    (1, 0.1, r"data\.validation=0\.1: would hold out the only shard; use a smaller fraction, or null"),
    (3, 0.9, r"data\.validation=0\.9: would hold out all 3 shards"),
    (9, 0, "must be between 0 and 1"), (9, 1, "must be between 0 and 1"), (9, "much", "must be between 0 and 1"),
])  # fmt: skip
def test_what_cannot_be_held_out(count: int, fraction: float, error: str) -> None:
    with pytest.raises(UserError, match=error):
        held_out_shards(count, fraction)
