"""The order of images in training, their crops and flips: an endless stream that depends only on the seed."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from gan.utils.errors import UserError

SEED_OFFSET = 1 << 32  # of the seed of a second stream; seeds of runs are smaller
BLOCK = 4096  # images whose random numbers are generated together


class EndlessBatches:
    """Yields one rank's part of each global batch: the stream position of its first image, and indices (per_rank,).

    Image k of the stream is image k mod `length` of its epoch's permutation, so that a batch may span two epochs and no
    image is dropped. The state is only the position in the stream, so that iteration can start at any batch.

    `batch_size` is over all ranks, and `start` the index of the first batch.
    """

    def __init__(self, length: int, batch_size: int, seed: int, rank: int = 0, ranks: int = 1, start: int = 0) -> None:
        self.per_rank = per_rank_batch_size(batch_size, ranks)
        self.length = length
        self.batch_size = batch_size
        self.seed = seed
        self.rank = rank
        self.ranks = ranks
        self.start = start

    def with_length(self, length: int) -> EndlessBatches:
        """Return the same batches over another set of images, in an order of their own."""
        return EndlessBatches(length, self.batch_size, self.seed + SEED_OFFSET, self.rank, self.ranks, self.start)

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        epoch, order = -1, np.empty(0, np.int64)
        for batch in itertools.count(self.start):
            first = place = batch * self.batch_size + self.rank * self.per_rank
            end, parts = first + self.per_rank, []
            while place < end:
                if place // self.length != epoch:
                    epoch = place // self.length
                    order = np.random.default_rng((self.seed, epoch)).permutation(self.length)
                at = place % self.length
                parts.append(order[at : at + end - place])
                place += len(parts[-1])
            yield first, parts[0] if len(parts) == 1 else np.concatenate(parts)


def per_rank_batch_size(batch_size: int, ranks: int) -> int:
    """Return the number of images per rank and batch; raise UserError if the batch size is not divisible."""
    if batch_size % ranks:
        raise UserError(f"data.batch_size={batch_size} is not divisible by {ranks} devices: use a multiple")
    return batch_size // ranks


class RandomCropFlip:
    """A random crop and horizontal flip of each image, which depend only on the seed and its position in the stream.

    Args:
        size: (height, width) of the crops.
        flip: flip each image horizontally with probability 0.5.
    """

    def __init__(self, size: tuple[int, int], flip: bool, seed: int) -> None:
        self.size = size
        self.flip = flip
        self.seed = seed

    def __call__(self, images: Tensor, first: int) -> Tensor:
        """Return crops (N, C, H, W) of images uint8 (N, C, H', W'), at least as large, from the place `first` on."""
        height, width = self.size
        draws = uniform(self.seed, first, len(images))
        tops = (draws[:, 0] * (images.shape[2] - height + 1)).astype(int).tolist()
        lefts = (draws[:, 1] * (images.shape[3] - width + 1)).astype(int).tolist()
        crops = [
            image[:, top : top + height, left : left + width]
            for image, top, left in zip(images, tops, lefts, strict=True)
        ]
        if self.flip:
            crops = [crop.flip(2) if u < 0.5 else crop for crop, u in zip(crops, draws[:, 2].tolist(), strict=True)]
        return torch.stack(crops)


def uniform(seed: int, first: int, count: int) -> np.ndarray:
    """Return random numbers in [0, 1), float64 (count, 3), of the images first .. first + count - 1 of the stream."""
    start = first // BLOCK
    blocks = [_uniform_block(seed, block) for block in range(start, (first + count - 1) // BLOCK + 1)]
    return np.concatenate(blocks)[first - start * BLOCK :][:count]


@functools.lru_cache(maxsize=8)
def _uniform_block(seed: int, block: int) -> np.ndarray:
    return np.random.default_rng((seed, 1, block)).random((BLOCK, 3))


def stored_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of stored images for random crops of `size`: larger by 8/7, as 256 for crops of 224."""
    return math.ceil(size[0] * 8 / 7), math.ceil(size[1] * 8 / 7)
