"""The order of images, their crops and flips depend only on the seed and the position in the stream."""

from itertools import chain, islice

import numpy as np
import pytest
import torch

from gan.data.order import BLOCK, EndlessBatches, RandomCropFlip, uniform
from gan.utils.errors import UserError

IMAGES = torch.arange(8 * 3 * 10 * 12).reshape(8, 3, 10, 12).remainder(251).to(torch.uint8)


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


def test_a_set_smaller_than_the_batch_is_repeated() -> None:
    assert sorted(chain.from_iterable(first(3, length=2, batch_size=4))) == [0] * 6 + [1] * 6


def test_an_indivisible_batch_raises() -> None:
    with pytest.raises(UserError, match=r"data\.batch_size=4 is not divisible by 3"):
        first(1, ranks=3)


def test_numbers_are_those_of_the_place():
    first = uniform(7, 0, 3 * BLOCK)
    assert first.shape == (3 * BLOCK, 3) and first.min() >= 0 and first.max() < 1
    for at, count in ((2 * BLOCK - 3, 7), (5, 1), (BLOCK, BLOCK)):  # over a border, back, a whole block
        assert np.array_equal(uniform(7, at, count), first[at : at + count])
    assert not np.array_equal(uniform(8, 0, 4), first[:4])
    assert abs(first.mean() - 0.5) < 0.02


def test_crops_are_parts_of_the_image():
    found = RandomCropFlip((7, 5), False, 0)(IMAGES, 100)
    assert found.shape == (8, 3, 7, 5)
    places = set()
    for image, window in zip(IMAGES, found, strict=True):
        matches = [
            (top, left)
            for top in range(4)
            for left in range(8)
            if torch.equal(image[:, top : top + 7, left : left + 5], window)
        ]
        assert len(matches) == 1
        places.update(matches)
    assert len(places) > 3


def test_batches_of_another_size_change_nothing():
    crop_flip = RandomCropFlip((7, 5), True, 0)
    whole = crop_flip(IMAGES, 4090)  # over the border of a block
    parts = [RandomCropFlip((7, 5), True, 0)(IMAGES[at : at + 2], 4090 + at) for at in range(0, 8, 2)]
    assert torch.equal(torch.cat(parts), whole)


def test_half_of_the_images_are_turned():
    images = IMAGES[:1].expand(1000, -1, -1, -1)
    found = RandomCropFlip((10, 12), True, 0)(images, 0)
    turned = (found == images[0].flip(2)).flatten(1).all(1)
    kept = (found == images[0]).flatten(1).all(1)
    assert (turned ^ kept).all() and 450 < turned.sum() < 550
