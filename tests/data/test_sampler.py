"""The order of images depends only on the seed."""

from __future__ import annotations

from itertools import chain, islice

import pytest

from gan.common.errors import UserError
from gan.data.sampler import EndlessBatches


def first(batches: int, **options: int) -> list[list[int]]:
    stream = EndlessBatches(**{"length": 10, "batch_size": 4, "seed": 0, **options})
    return [indices.tolist() for _, indices in islice(stream, batches)]


def test_each_epoch_shows_every_image_once_in_another_order() -> None:
    stream = list(chain.from_iterable(first(10)))
    epochs = [stream[start : start + 10] for start in range(0, 40, 10)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_starting_later_gives_the_same_batches() -> None:
    assert first(6, start=5) == first(11)[5:]


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_together_see_the_batches_of_one(ranks: int) -> None:
    shares = [first(7, rank=rank, ranks=ranks) for rank in range(ranks)]
    assert [list(chain.from_iterable(parts)) for parts in zip(*shares, strict=True)] == first(7)


def test_each_share_knows_its_place_in_the_stream() -> None:
    stream = EndlessBatches(length=10, batch_size=4, seed=0, rank=1, ranks=2, start=3)
    assert [place for place, _ in islice(stream, 3)] == [14, 18, 22]


def test_the_seed_is_the_order() -> None:
    assert first(5) != first(5, seed=1)


def test_a_set_smaller_than_the_batch_is_repeated() -> None:
    assert sorted(chain.from_iterable(first(3, length=2, batch_size=4))) == [0] * 6 + [1] * 6


def test_an_indivisible_batch_raises() -> None:
    with pytest.raises(UserError, match=r"data\.batch_size=4 is not divisible by 3"):
        first(1, ranks=3)
