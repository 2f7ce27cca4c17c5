"""Convert images of any size and number of channels to the colors that networks and statistics expect."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from gan.utils.colors import LUMA, YCC

LUMA_SIDE, CHROMA_SIDE = 16, 4  # pixels per side of the brightness and the color of a thumbnail


def rgb(images: Tensor) -> Tensor:
    """Convert uint8 (N, C, H, W) to RGB in 0..255, float (N, 3, H, W): gray is repeated, RGBA placed on mid-gray."""
    x = images.float()
    if images.shape[1] == 1:
        return x.expand(-1, 3, -1, -1)
    return x[:, :3] + (255 - x[:, 3:]) * 0.5 if images.shape[1] == 4 else x


def as_rgb(images: Tensor) -> Tensor:
    """Convert to 8-bit RGB, with transparent pixels on mid-gray."""
    return rgb(images).round().to(torch.uint8)


def luminance(colors: Tensor) -> Tensor:
    """Return the luminance (N, 1, H, W) of RGB (N, 3, H, W)."""
    return torch.einsum("c,nchw->nhw", colors.new_tensor(LUMA), colors)[:, None]


def resized(images: Tensor, side: int) -> Tensor:
    """Resize uint8 (N, C, H, W) to RGB in 0..255, float (N, 3, side, side): bilinear, antialiased."""
    return interpolate(rgb(images), (side, side), mode="bilinear", antialias=True)


def thumbnails(images: Tensor) -> Tensor:
    """Return the thumbnails (N, 288) of images uint8 (N, C, H, W). Brightness and color have equal weight."""
    x = torch.einsum("ij,njhw->nihw", torch.tensor(YCC), rgb(images) / 255)  # (N, 3, H, W)
    small = []
    for channels, side in ((x[:, :1], LUMA_SIDE), (x[:, 1:], CHROMA_SIDE)):
        small.append(interpolate(channels, (side, side), mode="bilinear", antialias=True).flatten(1) / side)
    return torch.cat(small, 1)


def diversity(images: Tensor) -> float:
    """Return the mean distance between the thumbnails of two images uint8 (N, C, H, W)."""
    return float(torch.pdist(thumbnails(images)).mean())
