"""Where in a picture a part lies, and noise that depends on it, so that parts agree with each other."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

MASK = 2**32 - 1


class Place(NamedTuple):
    """The upper left corner of a part, the size of the whole picture, in pixels, and a number that is the picture's."""

    top: int
    left: int
    height: int
    width: int
    number: int = 0

    @classmethod
    def whole(cls, x: Tensor) -> Place:
        """Of pictures (N, C, H, W) themselves."""
        return cls(0, 0, x.shape[2], x.shape[3])


def noise_at(place: Place, height: int, width: int) -> Tensor:
    """Standard normal numbers (height, width) of a part of that size: a function of row, column and picture alone."""
    rows, columns = torch.arange(place.top, place.top + height), torch.arange(place.left, place.left + width)
    x = rows[:, None] * 0x9E3779B1 + columns * 0x85EBCA77 + place.number * 0xC2B2AE3D & MASK
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):  # each bit moves every other one about half of the time
        x = (x ^ (x >> shift)) * factor & MASK
    x = x ^ (x >> 16)
    return torch.special.ndtri((x.double() + 0.5) / 2**32).float()
