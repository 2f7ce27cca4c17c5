"""Values that follow the clock of images: learning rates, Adam's betas, weights of penalties, the EMA's half-life."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gan.common.errors import UserError, at_least

SHAPES = ("linear", "cosine")


class Schedule:
    """From `start` to `end` over so many images, and `end` from then on.

    Args:
        start, end: numbers, or two lists of as many, such as Adam's betas.
        images: length.
        shape: linear, or cosine: the half cosine of Loshchilov and Hutter, 2016, arXiv:1608.03983, equation 5.
        warmup: images over which the value rises linearly from 0 to what it would be; for learning rates.

    Raises:
        UserError: the shape is not known, a count of images is too small, start and end do not fit each other.
    """

    def __init__(
        self,
        start: float | Sequence[float],
        end: float | Sequence[float],
        images: int,
        shape: str = "linear",
        warmup: int = 0,
    ) -> None:
        if shape not in SHAPES:
            raise UserError(f"model.schedules: shape={shape}: {' or '.join(SHAPES)}")
        self.start, self.end = np.asarray(start, float), np.asarray(end, float)
        if self.start.shape != self.end.shape:
            raise UserError(f"model.schedules: start={start} and end={end} must be two numbers or two lists of as many")
        self.shape = shape
        self.images = at_least("model.schedules: images", images, 1)
        self.warmup = at_least("model.schedules: warmup", warmup, 0)

    def __call__(self, seen: int) -> float | list[float]:
        """The value after `seen` images."""
        share = min(seen / self.images, 1.0)
        if self.shape == "cosine":
            share = (1 - math.cos(math.pi * share)) / 2
        rise = min(1.0, seen / self.warmup) if self.warmup else 1.0
        value: float | list[float] = (rise * (self.start + share * (self.end - self.start))).tolist()
        return value
