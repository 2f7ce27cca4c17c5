"""Memorization: the rate of generated images that are copies of training images, and the nearest training images."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gan.metrics.clipped import clipped_density_coverage
from gan.metrics.copies import chance_distance
from gan.metrics.extractors import features
from gan.metrics.nearest_neighbors import nearest
from gan.metrics.random_conv import RandomConv
from gan.metrics.thumbnails import thumbnails

NEIGHBORS = 5  # as in Naeem et al., 2020
MIN_HELD_OUT = 50  # images; fewer are no sample
MIN_SIMILARITY = 0.3  # of clipped density and of precision, below which a rate of copies means nothing
TEXTURE_IMAGES = 2000


class Memorization(NamedTuple):
    """The nearest training image of each of N generated images.

    Attributes:
        rate: of copies; None if the images are unlike real ones, such as noise.
        source: (N,), row of the nearest training image.
        mirrored: (N,), whether its mirror image is nearest.
        distance: (N,).
    """

    rate: float | None
    source: Tensor
    mirrored: Tensor
    distance: Tensor


class CopySearch:
    """Searches training images for copies.

    Args:
        train: uint8 (N, C, H, W).
        held_out: real images that were not trained on. If None or fewer than MIN_HELD_OUT, each training image is
            compared with the others instead.
        flips: whether training mirrors images.
    """

    def __init__(self, train: Tensor, held_out: Tensor | None, flips: bool) -> None:
        self.count = len(train)
        views = 2 if flips else 1
        self.thumbnails = thumbnails(torch.cat([train, train.flip(3)]) if flips else train).double()
        others = None if held_out is None or len(held_out) < MIN_HELD_OUT else thumbnails(held_out)
        self.limit = chance_distance(self.thumbnails, others, views)
        self.extract = RandomConv()
        self.textures = self._textures(train[:TEXTURE_IMAGES])

    def _textures(self, images: Tensor) -> Tensor:
        """Return features that separate noise from images at any contrast; Lite0's put noise among grainy tiles."""
        return normalize(features(self.extract, images))

    def search(self, generated: Tensor) -> Memorization:
        """Search for copies among generated images uint8 (M, C, H, W)."""
        distance, row = nearest(thumbnails(generated).double(), self.thumbnails)
        rate = float((distance < self.limit).double().mean()) if self.is_similar(generated) else None
        return Memorization(rate, row % self.count, row >= self.count, distance)

    def is_similar(self, generated: Tensor) -> bool:
        """Return whether generated images are similar enough to real ones for a rate; False for a handful of images."""
        textures = self._textures(generated)
        if min(len(textures), len(self.textures)) <= NEIGHBORS:
            return False
        found = clipped_density_coverage(self.textures, textures, NEIGHBORS)
        return found["clipped_density"] >= MIN_SIMILARITY
