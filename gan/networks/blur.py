"""Gaussian blur of tensors."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from gan.losses.heads import at_least_fp32
from gan.networks.precision import full_precision


def gaussian(sigma: float, like: Tensor) -> Tensor:
    """Return a Gaussian of standard deviation `sigma` pixels, with a sum of 1: (2 ceil(3 sigma) + 1,), float32.

    Args:
        like: a tensor on the device of the result.
    """
    taps = torch.arange(2 * blur_radius(sigma) + 1, device=like.device, dtype=torch.float32) - blur_radius(sigma)
    weights = torch.exp(-0.5 * (taps / sigma) ** 2)
    return weights / weights.sum()


def blur_radius(sigma: float) -> int:
    """Return the number of pixels around a pixel on which its blurred value depends."""
    return math.ceil(3 * sigma)


def blur(x: Tensor, sigma: float) -> Tensor:
    """Return images (N, C, H, W) blurred by a Gaussian of standard deviation `sigma` pixels; edges are repeated.

    The convolutions run in fp32 also under autocast, for two reasons. Callers subtract the result from the image, so it
    needs the precision of the image. And PyTorch 2.13 hangs in depthwise bf16 convolutions with wide kernels on some
    CPUs with AMX.
    """
    with full_precision(x):
        exact = at_least_fp32(x)
        radius, channels = blur_radius(sigma), x.shape[1]
        kernel = gaussian(sigma, x).to(exact.dtype).expand(channels, 1, 1, -1)
        exact = F.pad(exact, (radius,) * 4, mode="replicate")
        across = F.conv2d(exact, kernel, groups=channels)
        return F.conv2d(across, kernel.transpose(2, 3), groups=channels).to(x.dtype)
