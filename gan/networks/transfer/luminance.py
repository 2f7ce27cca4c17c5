"""The luminance of colors."""

from __future__ import annotations

from torch import Tensor

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601


def luminance(x: Tensor) -> Tensor:
    """Return the luminance (N, 1, h, w) of images (N, 3, h, w)."""
    return (x * x.new_tensor(LUMINANCE)[:, None, None]).sum(1, keepdim=True)
