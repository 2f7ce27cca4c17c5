"""Upsampling and downsampling by 2 with the filter [1, 3, 3, 1], which avoids checkerboards and aliasing.

Karras et al., 2019, arXiv:1812.04948, and their later networks. The operations are twice differentiable and also fast
on a CPU.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def upsample(x: Tensor) -> Tensor:
    """Upsample (N, C, h, w) to (N, C, 2h, 2w). Bilinear interpolation is the same filter, but repeats the border."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def downsample(x: Tensor) -> Tensor:
    """Downsample (N, C, 2h, 2w) to (N, C, h, w)."""
    return smooth(x, padding=1, stride=2)


def smooth(x: Tensor, padding: int, stride: int = 1, gain: float = 1.0) -> Tensor:
    """Filter both axes with [1, 3, 3, 1] / 8 and multiply by `gain`.

    Each side of length n becomes (n + 2 padding - 4) // stride + 1.
    """
    row = 2 - (torch.arange(4, device=x.device, dtype=x.dtype) - 1.5).abs()  # on the device: a copy would synchronize
    kernel = (row[:, None] * row * (gain / 16)).expand(x.shape[1], 1, 4, 4)
    return F.conv2d(x, kernel, stride=stride, padding=padding, groups=x.shape[1])
