"""Images of 1, 3 or 4 channels (premultiplied RGBA) as straight colors and alpha, and back."""

from __future__ import annotations

import torch
from torch import Tensor

MIN_ALPHA = 0.5 / 255  # alpha below which a pixel has no color


def unpremultiply(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the color (N, 3, H, W) in [-1, 1], not premultiplied, and alpha in [0, 1]; gray is repeated."""
    if x.shape[1] != 4:
        return x.expand(-1, 3, -1, -1), x.new_ones(())
    alpha = (x[:, 3:] + 1) / 2
    color = (x[:, :3] + 1) / alpha.clamp(min=MIN_ALPHA) - 1
    return color.clamp(-1, 1), alpha


def premultiply(color: Tensor, alpha: Tensor, channels: int) -> Tensor:
    """Return the image (N, channels, h, w) of color (N, 3, h, w) in [-1, 1] and alpha in [0, 1]; gray is the mean."""
    if channels == 1:
        return color.mean(1, keepdim=True)
    return torch.cat([(color + 1) * alpha - 1, 2 * alpha - 1], 1) if channels == 4 else color
