"""Random crops and flips, which depend only on the seed and on the position of the image in the stream."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

BLOCK = 4096  # images whose random numbers are generated together


class StreamUniform:
    """Uniform random numbers for image k of the stream, which depend only on (seed, k)."""

    def __init__(self, seed: int, each: int) -> None:
        self.seed = seed
        self.each = each
        self.block, self.numbers = -1, np.empty((0, each))

    def __call__(self, first: int, count: int) -> np.ndarray:
        """Return random numbers in [0, 1), float64 (count, each), for the images first .. first + count - 1."""
        parts, end = [], first + count
        while first < end:
            block, at = divmod(first, BLOCK)
            if block != self.block:
                self.block = block
                self.numbers = np.random.default_rng((self.seed, 1, block)).random((BLOCK, self.each))
            parts.append(self.numbers[at : at + end - first])
            first += len(parts[-1])
        return np.concatenate(parts)


class RandomCropFlip:
    """A random crop and horizontal flip of each image.

    Args:
        size: (height, width) of the crops.
        flip: flip each image horizontally with probability 0.5.
    """

    def __init__(self, size: tuple[int, int], flip: bool, seed: int) -> None:
        self.size = size
        self.flip = flip
        self.uniform = StreamUniform(seed, 3)

    def __call__(self, images: Tensor, first: int) -> Tensor:
        """Return crops (N, C, H, W) of images uint8 (N, C, H', W'), which are at least as large as `size`.

        Args:
            first: position of the first image in the stream.
        """
        height, width = self.size
        draws = self.uniform(first, len(images))
        tops = (draws[:, 0] * (images.shape[2] - height + 1)).astype(int).tolist()
        lefts = (draws[:, 1] * (images.shape[3] - width + 1)).astype(int).tolist()
        crops = [
            image[:, top : top + height, left : left + width]
            for image, top, left in zip(images, tops, lefts, strict=True)
        ]
        if self.flip:
            crops = [crop.flip(2) if u < 0.5 else crop for crop, u in zip(crops, draws[:, 2].tolist(), strict=True)]
        return torch.stack(crops)


def stored_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of stored images for random crops of `size`: larger by 8/7, as 256 for crops of 224."""
    return math.ceil(size[0] * 8 / 7), math.ceil(size[1] * 8 / 7)
