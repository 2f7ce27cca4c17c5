"""Crops and flips depend only on the seed and the position in the stream."""

from __future__ import annotations

import numpy as np
import torch

from gan.data.random_crop_flip import BLOCK, RandomCropFlip, StreamUniform, stored_size

IMAGES = torch.arange(8 * 3 * 10 * 12).reshape(8, 3, 10, 12).remainder(251).to(torch.uint8)


def test_numbers_are_those_of_the_place():
    first = StreamUniform(7, 3)(0, 3 * BLOCK)
    assert first.shape == (3 * BLOCK, 3) and first.min() >= 0 and first.max() < 1
    draws = StreamUniform(7, 3)
    for at, count in ((2 * BLOCK - 3, 7), (5, 1), (BLOCK, BLOCK)):  # over a border, back, a whole block
        assert np.array_equal(draws(at, count), first[at : at + count])
    assert not np.array_equal(StreamUniform(8, 3)(0, 4), first[:4])
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


def test_canvas():
    assert stored_size((224, 64)) == (256, 74)
