"""Measure memorization: find the nearest training images, and the rate of generated images that are copies of them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gan.metrics.clipped import clipped_density_coverage
from gan.metrics.copies import chance_distance
from gan.metrics.distances import nearest
from gan.metrics.extractors import features
from gan.metrics.random_conv import RandomConv
from gan.metrics.thumbnails import thumbnails

NEIGHBORS = 5  # as in Naeem et al., 2020
MIN_HELD_OUT = 50  # with fewer held-out images, training images are compared with each other instead
MIN_SIMILARITY = 0.3  # minimum clipped density and precision for a meaningful rate of copies
TEXTURE_IMAGES = 2000


class Memorization(NamedTuple):
    """The nearest training image of each of N generated images.

    Attributes:
        rate: rate of copies; None if the images are too unlike real ones, such as noise.
        source: (N,), index of the nearest training image.
        mirrored: (N,), whether the mirror image of that training image is nearest.
        distance: (N,), distance to the nearest training image.
    """

    rate: float | None
    source: Tensor
    mirrored: Tensor
    distance: Tensor


class Described(NamedTuple):
    """What a search for copies needs of N images.

    Attributes:
        thumbnails: (N, D).
        textures: (N, F), features that distinguish noise from images at any contrast. Lite0's confuse it with grainy
            tiles.
    """

    thumbnails: Tensor
    textures: Tensor


def describe(images: Tensor) -> Described:
    """Return what a search for copies needs of images uint8 (N, C, H, W)."""
    return Described(thumbnails(images), textures_of(images))


def textures_of(images: Tensor) -> Tensor:
    return normalize(features(RandomConv(), images))


class CopySearch:
    """Searches generated images for copies of training images.

    Args:
        train: training images, uint8 (N, C, H, W).
        held_out: real images that were not used in training. They give the distance of images that are near by chance.
            If None or fewer than MIN_HELD_OUT, training images are compared with each other instead.
        flips: whether training flips images.
    """

    def __init__(self, train: Tensor, held_out: Tensor | None, flips: bool) -> None:
        self.count = len(train)
        views = 2 if flips else 1
        self.thumbnails = thumbnails(torch.cat([train, train.flip(3)]) if flips else train).double()
        others = None if held_out is None or len(held_out) < MIN_HELD_OUT else thumbnails(held_out)
        self.limit = chance_distance(self.thumbnails, others, views)
        self.textures = textures_of(train[:TEXTURE_IMAGES])

    def search(self, generated: Tensor) -> Memorization:
        """Return the nearest training images of generated images uint8 (M, C, H, W), and the rate of copies."""
        return self.search_described(describe(generated))

    def search_described(self, generated: Described) -> Memorization:
        """As `search`, of images that other processes may have described."""
        distance, row = nearest(generated.thumbnails.double(), self.thumbnails)
        rate = float((distance < self.limit).double().mean()) if self.is_similar(generated.textures) else None
        return Memorization(rate, row % self.count, row >= self.count, distance)

    def is_similar(self, textures: Tensor) -> bool:
        """Return whether the textures of generated images are similar enough to real ones for a rate of copies.

        Return False for at most NEIGHBORS images.
        """
        if min(len(textures), len(self.textures)) <= NEIGHBORS:
            return False
        found = clipped_density_coverage(self.textures, textures, NEIGHBORS)
        return found["clipped_density"] >= MIN_SIMILARITY
