"""Upsampling, downsampling and Gaussian blur. All are twice differentiable and also fast on a CPU.

`upsample`, `downsample` and `smooth` use the filter [1, 3, 3, 1], which avoids checkerboards and aliasing (Karras et
al., 2019, arXiv:1812.04948).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.losses.heads import at_least_fp32
from gan.networks.precision import full_precision
from gan.utils.errors import choice

FILTERS = {"nearest": (1.0, 1.0), "bilinear": (0.25, 0.75, 0.75, 0.25)}  # of upsampling by 2, after zero insertion


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


def up_conv(before: int, after: int, kind: str) -> nn.Module:
    """Return a layer (N, before, h, w) -> (N, after, 2h, 2w) without bias.

    Args:
        kind: "transposed" for a transposed convolution of 4x4 (DCGAN), or how `FilteredUpConv` upsamples.
    """
    if kind == "transposed":
        return nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)
    choice("model.generator.upsampling", kind, ("transposed", *FILTERS))
    return FilteredUpConv(before, after, kind)


class FilteredUpConv(nn.Module):
    """Upsample by 2, then convolve with 3x3: (N, before, h, w) -> (N, after, 2h, 2w), padded with zeros.

    Both are linear, so together they are one transposed convolution of stride 2, whose kernel is that of the
    convolution, convolved with the filter of the upsampling. It takes less time: at stride 2, each output pixel uses
    only a quarter of the kernel.

    Each output pixel gets the same sum of weights. With free weights, a transposed convolution can draw a checkered
    pattern (Odena et al., "Deconvolution and Checkerboard Artifacts", 2016). "bilinear" is also the layer of StyleGAN2,
    a transposed convolution followed by a blur.

    Args:
        kind: a name in `FILTERS`.
    """

    spread: Tensor

    def __init__(self, before: int, after: int, kind: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(before, after, 3, 3))  # as in ConvTranspose2d
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        self.taps = len(FILTERS[kind])
        spread = spread_matrix(FILTERS[kind])
        self.register_buffer("spread", torch.kron(spread, spread), persistent=False)  # (9, side * side)

    def forward(self, x: Tensor) -> Tensor:
        before, after = self.weight.shape[:2]
        side = self.taps + 2
        kernel = (self.weight.flatten(2) @ self.spread).view(before, after, side, side)
        return F.conv_transpose2d(x, kernel, stride=2, padding=self.taps // 2)


def spread_matrix(taps: tuple[float, ...]) -> Tensor:
    """Return the matrix (3, 2 + taps) that convolves a row of three weights with the taps."""
    matrix = torch.zeros(3, 2 + len(taps))
    for row in range(3):
        matrix[row, row : row + len(taps)] = torch.tensor(taps)
    return matrix


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
