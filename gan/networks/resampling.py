"""Upsampling, downsampling and Gaussian blur. All are twice differentiable and also fast on a CPU.

`upsample`, `downsample` and `smooth` use the filter [1, 3, 3, 1], which avoids checkerboards and aliasing (Karras et
al., 2019, arXiv:1812.04948).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from gan.losses.heads import at_least_fp32
from gan.networks.layers import full_precision
from gan.networks.torus import local

BORDERS = ("repeat", "zeros")  # what is around the border of upsampled feature maps and images


@local(2)
def upsample(x: Tensor, border: str = "repeat") -> Tensor:
    """Upsample (N, C, h, w) to (N, C, 2h, 2w). Bilinear interpolation is the same filter, but repeats the border."""
    around = int(border == "zeros")
    y = F.interpolate(F.pad(x, (around,) * 4) if around else x, scale_factor=2, mode="bilinear", align_corners=False)
    return y[:, :, 2:-2, 2:-2] if around else y


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
        taps = torch.arange(2 * radius + 1, device=x.device, dtype=torch.float32) - radius
        weights = torch.exp(-0.5 * (taps / sigma) ** 2)
        kernel = (weights / weights.sum()).to(exact.dtype).expand(channels, 1, 1, -1)
        exact = F.pad(exact, (radius,) * 4, mode="replicate")
        across = F.conv2d(exact, kernel, groups=channels)
        return F.conv2d(across, kernel.transpose(2, 3), groups=channels).to(x.dtype)
