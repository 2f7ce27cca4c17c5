"""Copies of training images among generated images: the nearest training images, and the rate of copies."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate, normalize

from gan.metrics.distances import blocks, distances, nearest, radii
from gan.metrics.extractors import RandomConv, features
from gan.metrics.pixels import rgb
from gan.metrics.prdc import NEIGHBORS
from gan.utils.colors import YCC

QUANTILE = 0.05  # fraction of real images that are this close to a training image by chance
MIN_HELD_OUT = 50  # with fewer held-out images, training images are compared with each other instead
MIN_SIMILARITY = 0.3  # smallest precision, and fraction with textures like real ones, for a meaningful rate of copies
TEXTURE_IMAGES = 2000
LUMA_SIDE, CHROMA_SIDE = 16, 4  # pixels per side of the brightness and the color of a thumbnail
CHUNK = 256  # images per pass


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


def textures_of(images: Tensor) -> Tensor:
    """Return features (N, F) that distinguish noise from images. Lite0's confuse it with grainy tiles."""
    return normalize(features(RandomConv(), images)).double()


class CopySearch:
    """Searches generated images for copies of training images.

    A copy is closer to a training image than 95 % of other real images. So the rate is about 0.05 without memorization,
    and 1 for a generator that only copies.

    Args:
        train: training images, uint8 (N, C, H, W).
        held_out: real images that were not used in training. They give the distance of images that are near by chance.
            If None or fewer than MIN_HELD_OUT, training images are compared with each other instead.
        flips: whether training flips images.
    """

    def __init__(self, train: Tensor, held_out: Tensor | None, flips: bool) -> None:
        self.count = len(train)
        self.thumbnails = thumbnails(torch.cat([train, train.flip(3)]) if flips else train).double()
        if held_out is None or len(held_out) < MIN_HELD_OUT:
            others = to_others(self.thumbnails, 2 if flips else 1)
        else:
            others = nearest(thumbnails(held_out).double(), self.thumbnails)[0]
        self.limit = torch.quantile(others, QUANTILE)
        self.textures = textures_of(train[:TEXTURE_IMAGES])

    def search(self, generated: Tensor) -> Memorization:
        """Return the nearest training images of generated images uint8 (N, C, H, W), and the rate of copies."""
        distance, row = nearest(thumbnails(generated).double(), self.thumbnails)
        rate = float((distance < self.limit).double().mean()) if self.is_similar(textures_of(generated)) else None
        return Memorization(rate, row % self.count, row >= self.count, distance)

    def is_similar(self, textures: Tensor) -> bool:
        """Return whether the textures of generated images are similar enough to real ones for a rate of copies.

        The radius is the median, because the balls of a few unusual real images contain noise. Return False for at most
        NEIGHBORS images.
        """
        if min(len(textures), len(self.textures)) <= NEIGHBORS:
            return False
        inside = nearest(textures, self.textures)[0] <= radii(self.textures, NEIGHBORS).median()
        return float(inside.double().mean()) >= MIN_SIMILARITY


def to_others(train: Tensor, views: int = 1) -> Tensor:
    """Return the distance (N,) of each image to the nearest view of another image. Rows i, i + N, ... show image i."""
    n = len(train) // views
    nearest_others = []
    for part, index in blocks(train[:n], torch.arange(n)):
        between = distances(part, train).reshape(len(part), views, n)
        between[torch.arange(len(part)), :, index] = torch.inf
        nearest_others.append(between.flatten(1).min(1).values)
    return torch.cat(nearest_others)


def thumbnails(images: Tensor) -> Tensor:
    """Return the thumbnails (N, 288) of images uint8 (N, C, H, W). Brightness and color have equal weight.

    Thumbnails are robust to JPEG and noise. The features of a network can change more by JPEG compression than by
    replacing the image. Measured with copies of 600 real images at JPEG quality 75 and a chance rate of 5 %: thumbnails
    find 99 % of tiles of 32 pixels and all cards of 96x64; Lite0's features find 8 % and 12 %.
    """
    return torch.cat([_small(part) for part in images.split(CHUNK)]) if len(images) else torch.empty(0, 288)


def _small(images: Tensor) -> Tensor:
    x = torch.einsum("ij,njhw->nihw", torch.tensor(YCC), rgb(images) / 255)  # (n, 3, H, W)
    small = []
    for channels, side in ((x[:, :1], LUMA_SIDE), (x[:, 1:], CHROMA_SIDE)):
        small.append(interpolate(channels, (side, side), mode="bilinear", antialias=True).flatten(1) / side)
    return torch.cat(small, 1)
