"""Differentiable attributes of images: (N, C, H, W) in [-1, 1] -> (N,).

Intensities are in 0..1. Premultiplied RGBA is placed on mid-gray.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from gan.metrics.pixels import rgb
from gan.utils.colors import LUMA


def intensity(x: Tensor) -> Tensor:
    """Return RGB intensities (N, 3, H, W)."""
    return rgb((x.clamp(-1, 1) + 1) * 127.5) / 255


def luminance(x: Tensor) -> Tensor:
    """Return the luminance (N, H, W)."""
    y = intensity(x)
    return torch.einsum("nchw,c->nhw", y, y.new_tensor(LUMA))


def brightness(x: Tensor) -> Tensor:
    """Mean luminance."""
    return luminance(x).mean((1, 2))


def contrast(x: Tensor) -> Tensor:
    """Standard deviation of the luminance."""
    return luminance(x).flatten(1).std(1)


def saturation(x: Tensor) -> Tensor:
    """Mean difference of the largest and the smallest of red, green and blue."""
    y = intensity(x)
    return (y.amax(1) - y.amin(1)).mean((1, 2))


def warmth(x: Tensor) -> Tensor:
    """Mean difference of red and blue."""
    y = intensity(x)
    return (y[:, 0] - y[:, 2]).mean((1, 2))


def sharpness(x: Tensor) -> Tensor:
    """Mean absolute luminance difference of neighboring pixels; grain and edges increase it."""
    y = luminance(x)
    return y.diff(dim=1).abs().mean((1, 2)) + y.diff(dim=2).abs().mean((1, 2))


ATTRIBUTES: dict[str, Callable[[Tensor], Tensor]] = {
    each.__name__: each for each in (brightness, contrast, saturation, warmth, sharpness)
}
COLOR_ATTRIBUTES = (saturation.__name__, warmth.__name__)  # gray images do not have these
