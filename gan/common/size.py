"""The option `data.size`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gan.common.errors import UserError


def pair(size: Any) -> tuple[int, int]:
    """Return (height, width) in pixels of a size given as one side or as [height, width].

    Raises:
        UserError: the size is neither.
    """
    sides = [size, size] if isinstance(size, int) else size
    wrong = isinstance(sides, str) or not isinstance(sides, Sequence) or len(sides) != 2
    if wrong or not all(isinstance(side, int) and side > 0 for side in sides):
        raise UserError(f"data.size={size}: give one side or [height,width] in pixels, such as data.size=[96,64]")
    return sides[0], sides[1]
