"""Convert images of any size and number of channels to the colors that networks and statistics expect."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue (ITU-R BT.601)
OPAQUE_FROM = 128  # alpha from which a pixel counts as opaque


def rgb(images: Tensor) -> Tensor:
    """Convert uint8 (N, C, H, W) to RGB in 0..255, float (N, 3, H, W): gray is repeated, RGBA placed on mid-gray."""
    x = images.float()
    if images.shape[1] == 1:
        return x.expand(-1, 3, -1, -1)
    return x[:, :3] + (255 - x[:, 3:]) * 0.5 if images.shape[1] == 4 else x


def luminance(images: Tensor) -> Tensor:
    """Return the luminance of uint8 (N, C, H, W): float (N, 1, H, W) in 0..255."""
    return torch.einsum("c,nchw->nhw", torch.tensor(LUMA), rgb(images))[:, None]


def resized(images: Tensor, side: int) -> Tensor:
    """Resize uint8 (N, C, H, W) to RGB in 0..255, float (N, 3, side, side): bilinear, antialiased."""
    return interpolate(rgb(images), (side, side), mode="bilinear", antialias=True)


def opaque_pixels(image: Tensor) -> Tensor:
    """Return the pixels of uint8 (C, ...) as (C or 3, pixels), int64.

    With premultiplied RGBA, return the straight colors of the pixels that are at least half opaque.
    """
    x = image.flatten(1).long()
    if len(x) < 4:
        return x
    color, alpha = x[:3, x[3] >= OPAQUE_FROM], x[3, x[3] >= OPAQUE_FROM]
    return ((color * 255 + alpha // 2) // alpha).clamp(max=255)
