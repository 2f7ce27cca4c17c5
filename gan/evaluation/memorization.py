"""How many generated images are copies, and of what."""

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
FEWEST = 50  # held-out images: fewer are no sample
TRUSTED = 0.3  # of resemblance and of precision, below which a rate of copies says nothing


class Originality(NamedTuple):
    rate: float | None  # of copies; None where the images resemble none, as noise does
    source: Tensor  # (N,) the nearest training image of each generated one
    mirrored: Tensor  # (N,) whether it is its mirror image that is near
    distance: Tensor  # (N,)


class Originals:
    """Training images among which copies are looked for.

    Args:
        train: uint8 (N, C, H, W).
        held_out: real images that were not trained on; None, or fewer than 50, takes each training image against the
            others in their place.
        flips: whether training mirrors images.
    """

    def __init__(self, train: Tensor, held_out: Tensor | None, flips: bool) -> None:
        self.count = len(train)
        views = 2 if flips else 1
        self.seen = thumbnails(torch.cat([train, train.flip(3)]) if flips else train).double()
        others = None if held_out is None or len(held_out) < FEWEST else thumbnails(held_out)
        self.limit = chance_distance(self.seen, others, views)
        self.extract = RandomConv()
        self.textures = self._textures(train[:2000])

    def _textures(self, images: Tensor) -> Tensor:
        """Features that tell noise from images, whatever the contrast: in Lite0's, noise lies among grainy tiles."""
        return normalize(features(self.extract, images))

    def compare(self, generated: Tensor) -> Originality:
        """uint8 (M, C, H, W)."""
        distance, row = nearest(thumbnails(generated).double(), self.seen)
        rate = float((distance < self.limit).double().mean()) if self.resembled_by(generated) else None
        return Originality(rate, row % self.count, row >= self.count, distance)

    def resembled_by(self, generated: Tensor) -> bool:
        """Whether copies can be told from noise; not from a handful of images."""
        textures = self._textures(generated)
        if min(len(textures), len(self.textures)) <= NEIGHBORS:
            return False
        found = clipped_density_coverage(self.textures, textures, NEIGHBORS)
        return found["clipped_density"] >= TRUSTED
