"""Minibatch standard deviation: a feature map that shows a discriminator how much the images of a group differ.

Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and Variation", 2018, arXiv:1710.10196,
section 3. A generator that repeats few images is found out by this map.
"""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-8


def with_minibatch_std(x: Tensor, group_size: int) -> Tensor:
    """Append `minibatch_std` as a channel: (N, C, h, w) -> (N, C + 1, h, w). A group size of 1 appends nothing."""
    return x if group_size == 1 else torch.cat([x, minibatch_std(x, group_size)], 1)


def minibatch_std(x: Tensor, group_size: int) -> Tensor:
    """Return the mean standard deviation within groups of images: (N, C, h, w) -> (N, 1, h, w).

    The value is the same for all pixels of a group. The group size is the largest divisor of N up to `group_size`.
    """
    n = next(size for size in range(min(group_size, len(x)), 0, -1) if len(x) % size == 0)
    groups = x.float().reshape(n, -1, *x.shape[1:])  # (n, N/n, C, h, w)
    variance = (groups - groups.mean(0)).square().mean(0)  # Tensor.var takes three times as long on a CPU
    spread = (variance + EPSILON).sqrt().mean((1, 2, 3))  # (N/n,)
    return spread.to(x.dtype).repeat(n)[:, None, None, None].expand(-1, 1, *x.shape[2:])
