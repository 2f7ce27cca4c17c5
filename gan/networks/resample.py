"""Doubling and halving of feature maps with the filter [1, 3, 3, 1], which leaves no checkerboards and no aliases.

Karras et al., 2019, arXiv:1812.04948, and their later networks. Written with operations that are quick on a CPU too and
can be differentiated twice.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def upsample(x: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, C, 2h, 2w). Bilinear is this very filter, but for the rim, which is repeated here."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def downsample(x: Tensor) -> Tensor:
    """(N, C, 2h, 2w) -> (N, C, h, w). [1, 3, 3, 1] is [1, 2, 1] and then the mean of two."""
    return F.avg_pool2d(blur(x), 2)


def blur(x: Tensor) -> Tensor:
    """[1, 2, 1] along both sides; the size is kept."""
    row = 2 - (torch.arange(3, device=x.device, dtype=x.dtype) - 1).abs()  # made there: a copy would be waited for
    kernel = (row[:, None] * row / 16).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(x, kernel, padding=1, groups=x.shape[1])
