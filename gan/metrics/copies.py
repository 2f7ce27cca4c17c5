"""Copies of training images among generated images: the nearest training images, and the rate of copies."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, unfold

from gan.metrics.pixels import resized

QUANTILE = 0.05  # fraction of real images that are this close to a training image by chance
MIN_HELD_OUT = 50  # with fewer held-out images, training images are compared with each other instead
MAX_OTHERS = 300  # real images that give the limit, to bound the time
CANDIDATES = 8  # training images that are aligned with a generated image
SIDES = (31, 35, 39)  # sides of training images in half cells: an image at zoom 1, 1.13 and 1.26
PATCH = 11  # cells per side of a patch: it stays inside when an image is shifted by 1/8 of its side
SHIFTS = range(-4, 5, 2)  # half cells between the center of a training image and its patches
VIEWS = product((1, -1), SIDES, SHIFTS, SHIFTS)  # patches of training images, and of their mirror images
PLACES = torch.tensor([(m * 31 / side, 31 / side, 2 * x / side, 2 * y / side) for m, side, y, x in VIEWS])
SIDE, SOURCE = 32, 40  # sides of generated images and of the training images that are aligned with them
STEPS = ((0.063, 0.06), (0.042, 0.04), (0.021, 0.02))  # of the alignment: of shifts, in halves of a side, and of zooms
FLAT = 0.1  # variance in squared levels below which an image counts as flat
CHUNK = 256  # generated images whose patches are made at once
PAIRS = 64_000  # pairs of images whose patches are multiplied at once
BLOCK = 8  # generated images that are aligned at once


class Memorization(NamedTuple):
    """The nearest training image of each of N generated images.

    Attributes:
        rate: rate of copies; None, which means not measured, with at most CANDIDATES training images.
        source: (N,), index of the nearest training image.
        mirrored: (N,), whether the mirror image of that training image is nearest.
        distance: (N,), distance to the nearest training image.
    """

    rate: float | None
    source: Tensor
    mirrored: Tensor
    distance: Tensor


class CopySearch:
    """Searches generated images for copies of training images, also shifted, zoomed, brightened, mirrored or blended.

    The patch in the center of a generated image is multiplied with patches of each training image at several positions
    and zooms. This selects candidates, in a time linear in the number of training images. Candidates are aligned with
    the generated image, and both are compared where they overlap, by their details without mean and contrast.

    What the nearest candidate does not explain is searched for again, because an image can be a blend of two.

    The distance is the unexplained fraction of the variance, divided by its mean over candidates, because simple images
    resemble many training images. A copy has a smaller distance than 95 % of other real images. So the rate is about
    0.05 without memorization, and 1 for a generator that only copies.

    Args:
        train: training images, uint8 (N, C, H, W).
        held_out: real images that were not used in training. They give the distance of images that are near by chance.
            If None or fewer than MIN_HELD_OUT, training images are compared with each other instead.
    """

    def __init__(self, train: Tensor, held_out: Tensor | None) -> None:
        self.train = train
        self.limit = torch.tensor(0.0)
        if len(train) > CANDIDATES:
            alone = held_out is None or len(held_out) < MIN_HELD_OUT
            others = train if alone or held_out is None else held_out
            self.limit = torch.quantile(self.nearest(others[:MAX_OTHERS], alone).distance, QUANTILE)

    def search(self, generated: Tensor) -> Memorization:
        """Return the nearest training images of generated images uint8 (N, C, H, W), and the rate of copies."""
        found = self.nearest(generated)
        rate = float((found.distance < self.limit).double().mean()) if len(self.train) > CANDIDATES else None
        return found._replace(rate=rate)

    def nearest(self, images: Tensor, alone: bool = False) -> Memorization:
        """Return the nearest training images; `alone`: of training images, other ones."""
        views, _ = self.candidates(images, alone)
        found = [self.aligned(part, k) for part, k in zip(images.split(BLOCK), views.split(BLOCK), strict=True)]
        source, mirrored, distance, rest = (torch.cat(parts) for parts in zip(*found, strict=True))
        _, similarity = self.candidates(rest, alone)  # a blend is explained by two training images
        return Memorization(None, source, mirrored, distance * _relative(similarity.clamp_min(0).square()))

    def candidates(self, images: Tensor, alone: bool) -> tuple[Tensor, Tensor]:
        """Return the views (N, K) of training images with the most similar patches, and the similarities (N, K).

        Numbers of views are len(PLACES) * index + place.
        """
        n, parts = len(images), images.split(CHUNK)
        pairs = ((part, part.flip(3)) for part in parts)  # as they are, and mirrored
        x = torch.cat([torch.cat([_patches(views, SIDES[0]) for views in pair], 1) for pair in pairs])  # (N, 2, D)
        similarity, views = torch.empty(n, 0), torch.empty(n, 0, dtype=torch.long)
        for block in torch.arange(len(self.train)).split(max(1, PAIRS // n)):
            y = torch.cat([_patches(self.train[block], side, SHIFTS.stop - 1) for side in SIDES], 1)  # (B, V, D)
            products = (x.flatten(0, 1) @ y.flatten(0, 1).T).view(n, 2, len(block), -1)  # (N, 2, B, V)
            best, place = products.transpose(1, 2).flatten(2).max(2)  # (N, B), over PLACES
            if alone:
                best[torch.arange(n)[:, None] == block] = -torch.inf  # an image is no copy of itself
            similarity, views = torch.cat([similarity, best], 1), torch.cat([views, len(PLACES) * block + place], 1)
            similarity, kept = similarity.topk(min(CANDIDATES, similarity.shape[1]))
            views = views.gather(1, kept)
        return views, similarity

    def aligned(self, images: Tensor, views: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return index, mirroring and distance of the nearest of the candidates (N, K), and what it does not explain.

        The last are images (N, C, SIDE, SIDE) in 0..255.
        """
        index = views // len(PLACES)
        x = _resized(images, SIDE)[:, None, None]
        y = _resized(self.train[index.flatten()], SOURCE).unflatten(0, index.shape)
        places = _aligned(x, y, PLACES[views % len(PLACES)])
        warped, inside = _warped(y, places[:, :, None])  # (N, K, 1, C, SIDE, SIDE)
        similarity = _explained(_details(x.expand_as(warped), inside), _details(warped, inside), inside)[:, :, 0]
        nearest = torch.arange(len(x)), similarity.argmax(1)
        rest = _residuals(x[:, 0, 0], warped[nearest][:, 0], inside[nearest][:, 0])
        return index[nearest], places[nearest][:, 0] < 0, _relative(similarity), 128 + rest


def _relative(similarity: Tensor) -> Tensor:
    """Return how far the best of similarities (N, K) is from 1, relative to their mean."""
    return (1 - similarity.amax(1)) / (1.01 - similarity.mean(1))  # also if all are equal


def _resized(images: Tensor, side: int) -> Tensor:
    """Return RGB images (N, 3, side, side), blurred so that positions need not agree exactly."""
    return avg_pool2d(resized(images, side), 3, stride=1, padding=1, count_include_pad=False)


def _patches(images: Tensor, side: int, reach: int = 0) -> Tensor:
    """Return patches (N, V, D) of images resized to `side` half cells. Their mean is 0 and their norm 1."""
    margin = (side - 2 * PATCH + 1) // 2 - reach
    x = _resized(images, side)[:, :, margin : side - margin, margin : side - margin]
    patches = unfold(x, PATCH, dilation=2, stride=2).unflatten(1, (3, -1))  # (N, 3, 121, V)
    patches = (patches - patches.mean(2, keepdim=True)).flatten(1, 2).transpose(1, 2)
    return patches / (patches.square().sum(2, keepdim=True) + PATCH**2 * FLAT).sqrt()


def _aligned(x: Tensor, y: Tensor, places: Tensor) -> Tensor:
    """Return the places (N, K, 4) near given ones at which images y (N, K, C, H, W) explain images x best."""
    shifts = torch.tensor([[0, 0, x, y] for y in (-1, 0, 1) for x in (-1, 0, 1)])
    zooms = torch.tensor([[-1, -1, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0]])
    for shift, zoom in STEPS:
        for factors, offsets in ((torch.ones(4), shift * shifts), (1 + zoom * zooms, torch.zeros(4))):
            tried = places[:, :, None] * factors + offsets  # (N, K, V, 4)
            best = _explained(x, *_warped(y, tried)).argmax(2)[..., None, None]
            places = tried.gather(2, best.expand(-1, -1, 1, 4))[:, :, 0]
    return places


def _warped(y: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Return images (N, K, C, H, W) at places (N, K, V, 4): (N, K, V, C, SIDE, SIDE), and a mask of what is inside."""
    axis = (2 * torch.arange(SIDE) + 1) / SIDE - 1
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), 2)  # (SIDE, SIDE, 2)
    grid = grid * places[:, :, :, None, None, :2] + places[:, :, :, None, None, 2:]
    warped = grid_sample(y.flatten(0, 1), grid.flatten(0, 1).flatten(1, 2), align_corners=False)
    inside = (grid.abs() < 1 - 2 / SIDE).all(5)  # outside, a shifted copy shows something else
    return warped.view(*y.shape[:3], -1, SIDE, SIDE).transpose(2, 3), inside[:, :, :, None].float()


def _explained(x: Tensor, y: Tensor, inside: Tensor) -> Tensor:
    """Return the fraction of the variance of x (..., C, H, W) that y explains inside a mask."""
    x, y = _centered(x, inside), _centered(y, inside)
    xx, yy, xy = (z.sum((-1, -2, -3)) for z in (x * x, y * y, x * y))
    flat = FLAT * inside.sum((-1, -2, -3))
    return xy.clamp_min(0).square() / ((xx + flat) * (yy + flat))


def _residuals(x: Tensor, y: Tensor, inside: Tensor) -> Tensor:
    """Return what a multiple of y does not explain of images x (N, C, H, W) inside a mask; 0 outside."""
    x, y = _centered(x, inside), _centered(y, inside)
    xy, yy = (z.sum((-1, -2, -3), keepdim=True) for z in (x * y, y * y))
    return x - xy.clamp_min(0) / (yy + FLAT) * y


def _centered(x: Tensor, inside: Tensor) -> Tensor:
    """Subtract the mean of x (..., C, H, W) inside a mask, and set the rest to 0."""
    return (x - (x * inside).sum((-1, -2), keepdim=True) / inside.sum((-1, -2), keepdim=True)) * inside


def _details(x: Tensor, inside: Tensor) -> Tensor:
    """Subtract local means inside a mask, because many images have the same coarse structure."""
    coarse = x
    for _ in range(2):
        sums = [avg_pool2d(z.flatten(0, 2), 5, 1, 2).view_as(z) for z in (coarse * inside, inside)]
        coarse = sums[0] / sums[1].clamp_min(1e-3)
    return x - coarse
