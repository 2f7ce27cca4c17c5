"""The position of a tile in an image, and noise that depends on the position, so that tiles fit together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor

MASK = 2**32 - 1


class TilePosition(NamedTuple):
    """The upper left corner of a tile and the size of the image in pixels, and the index of the image for noise."""

    top: int
    left: int
    height: int
    width: int
    image_index: int = 0

    @classmethod
    def whole(cls, x: Tensor) -> TilePosition:
        """Return the position of images (N, C, H, W) that are not cut into tiles."""
        return cls(0, 0, x.shape[2], x.shape[3])


def noise_at(position: TilePosition, height: int, width: int) -> Tensor:
    """Return standard normal noise (height, width) for a tile, which depends only on row, column and image index."""
    top, left = position.top, position.left
    rows, columns = torch.arange(top, top + height), torch.arange(left, left + width)
    x = rows[:, None] * 0x9E3779B1 + columns * 0x85EBCA77 + position.image_index * 0xC2B2AE3D & MASK
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):  # each bit flips every other bit about half of the time
        x = (x ^ (x >> shift)) * factor & MASK
    x = x ^ (x >> 16)
    return torch.special.ndtri((x.double() + 0.5) / 2**32).float()


def noise_planes(position: TilePosition, height: int, width: int, numbers: Iterable[int], margin: int = 0) -> Tensor:
    """Return planes of noise (1, K, height + 2 margin, width + 2 margin) for a tile and the pixels around it.

    Args:
        numbers: K numbers; each is added to the index of the image, so that no two planes are alike.
    """
    outer = position._replace(top=position.top - margin, left=position.left - margin)
    height, width = height + 2 * margin, width + 2 * margin
    indices = (position.image_index + number for number in numbers)
    return torch.stack([noise_at(outer._replace(image_index=index), height, width) for index in indices])[None]


def without_margin(x: Tensor, margin: int) -> Tensor:
    return x[..., margin : x.shape[-2] - margin, margin : x.shape[-1] - margin]
