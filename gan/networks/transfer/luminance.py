"""The luminance of colors."""

from __future__ import annotations

from torch import Tensor

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


def luminance(x: Tensor) -> Tensor:
    """Return the luminance (N, 1, h, w) of images (N, 3, h, w)."""
    red, green, blue = x.split(1, 1)  # a tensor of weights would have to be copied to the device
    return LUMINANCE[0] * red + LUMINANCE[1] * green + LUMINANCE[2] * blue
