"""Affine warps of images without aliasing, twice differentiable."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

# Lowpass filter of the orthogonal wavelet sym6 (Daubechies, "Ten Lectures on Wavelets", 1992, table 8.1).
SYM6 = (
    0.015404109327027373, 0.0034907120842174702, -0.11799011114819057, -0.048311742585633,
    0.4910559419267466, 0.787641141030194, 0.3379294217276218, -0.07263752278646252,
    -0.021060292512300564, 0.04472490177066578, 0.0017677118642428036, -0.007800708325034148,
)  # fmt: skip
MARGIN = len(SYM6) // 2 - 1  # number of samples beyond an edge that downsampling needs
DELAY = sum(tap * weight for tap, weight in enumerate(SYM6)) / sum(SYM6) - MARGIN  # samples from pixel i to 2 i
PADDING = 3  # number of pixels beyond an edge that upsampling returns


def warp(x: Tensor, source: Tensor, wrapped: Sequence[int] = ()) -> Tensor:
    """Warp images: upsample by 2, sample bilinearly at the source positions, downsample by 2.

    Upsampling followed by downsampling is the identity, because shifts of the filter by two samples are orthogonal
    (Karras et al., 2020, arXiv:2006.06676, appendix B). Images are padded by reflection, RGBA with transparent pixels.

    Args:
        x: (N, C, H, W) in [-1, 1].
        source: (N, 2, 3), matrix that maps a pixel (x, y, 1) of the result to a pixel of `x`, both relative to the
            center of the image.
        wrapped: dimensions of (N, C, H, W) along which images wrap around instead of being padded.
    """
    height, width = x.shape[2:]
    transparent = x.shape[1] == 4
    paddings = ["wrap" if n in wrapped else "zeros" if transparent else "reflection" for n in (2, 3)]
    up = (_up(side, padding, x.device).to(x) for side, padding in zip((height, width), paddings, strict=True))
    large = _filter(x + 1 if transparent else x, *up)  # (N, C, 2H + 12, 2W + 12)
    positions = _source_positions(height, width, source, paddings)
    warped = _GridSample.apply(large, positions, transparent)  # (N, C, 2H + 10, 2W + 10)
    result = _filter(warped, *(_down(side, x.device).to(x) for side in (height, width)))  # (N, C, H, W)
    return result - 1 if transparent else result


def _filter(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Filter the columns of (N, C, H, W) by the matrix (H', H) and the rows by (W', W) -> (N, C, H', W')."""
    return rows @ x @ columns.T


@functools.lru_cache(maxsize=16)
def _up(side: int, padding: str, device: torch.device) -> Tensor:
    """Return the upsampling matrix (2 side + 4 PADDING, side): pixel i is at sample 2 i + DELAY.

    A matrix product is used because a convolution of one channel is slower by an order of magnitude.
    """
    matrix = np.zeros((2 * side + 4 * PADDING, side), np.float32)
    for pixel in range(-2 * PADDING, side + 2 * PADDING):
        inside = pixel % (side if padding == "wrap" else 2 * side)
        inside = min(inside, 2 * side - 1 - inside)  # mirrored at the edges
        for tap, weight in enumerate(SYM6):
            row = 2 * pixel + tap - MARGIN + 2 * PADDING
            if 0 <= row < len(matrix) and not (padding == "zeros" and inside != pixel):
                matrix[row, inside] += np.float32(2**0.5 * weight)
    return torch.tensor(matrix).to(device)  # cached on the device, because each copy would synchronize


@functools.lru_cache(maxsize=16)
def _down(side: int, device: torch.device) -> Tensor:
    """Return the downsampling matrix (side, 2 side + 2 MARGIN), which is both the transpose and an inverse of `_up`."""
    matrix = np.zeros((side, 2 * side + 2 * MARGIN), np.float32)
    for pixel in range(side):
        matrix[pixel, 2 * pixel : 2 * pixel + len(SYM6)] = np.float32(0.5**0.5) * np.array(SYM6, np.float32)
    return torch.tensor(matrix).to(device)


def _source_positions(height: int, width: int, source: Tensor, paddings: Sequence[str]) -> Tensor:
    """Return the source positions of the upsampled result: (N, 2H + 2 MARGIN, 2W + 2 MARGIN, 2), x and y.

    The edges of the upsampled image are at -1 and 1, as grid_sample expects.
    """
    rows, columns = (
        (torch.arange(-MARGIN, 2 * side + MARGIN, device=source.device) - DELAY - side + 1).to(source) / 2
        for side in (height, width)
    )  # in pixels from the center
    across, down = (source[:, axis, :, None, None] for axis in (0, 1))  # (N, 3, 1, 1)
    x = across[:, 0] * columns + across[:, 1] * rows[:, None] + across[:, 2]
    y = down[:, 0] * columns + down[:, 1] * rows[:, None] + down[:, 2]
    y, x = (_inside(*of_axis) for of_axis in zip((y, x), (height, width), paddings, strict=True))
    shift = DELAY / 2 - 0.25  # of the center of the upsampled image
    return torch.stack([(x + shift) / (width / 2 + PADDING), (y + shift) / (height / 2 + PADDING)], -1)


def _inside(position: Tensor, side: int, padding: str) -> Tensor:
    """Return positions inside the upsampled image: those outside wrap around or are reflected at its edges, repeatedly.

    Positions are in pixels relative to the center. Those of transparent pixels stay outside.
    """
    if padding == "zeros":
        return position
    if padding == "wrap":
        return (position + side / 2).remainder(side) - side / 2
    around = (position + side / 2).remainder(2 * side)
    mirrored = torch.minimum(around, 2 * side - around) - side / 2
    return torch.where(position.abs() <= side / 2 + PADDING, position, mirrored)


class _GridSample(torch.autograd.Function):
    """Bilinear grid_sample with second derivatives, which torch lacks. It is linear in x: backward is the transpose."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, positions: Tensor, zeros: bool) -> Tensor:
        ctx.save_for_backward(positions)
        ctx.zeros, ctx.shape = zeros, x.shape
        return F.grid_sample(x, positions, padding_mode="zeros" if zeros else "reflection", align_corners=False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (positions,) = ctx.saved_tensors
        return _GridSampleTranspose.apply(gradient, positions, ctx.zeros, ctx.shape), None, None


class _GridSampleTranspose(torch.autograd.Function):
    """The transpose of `_GridSample`."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, positions: Tensor, zeros: bool, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(positions)
        ctx.zeros = zeros
        x = y.new_empty(1).expand(shape)  # only its shape is used
        bilinear, padding = 0, 0 if zeros else 2
        return torch.ops.aten.grid_sampler_2d_backward(y, x, positions, bilinear, padding, False, [True, False])[0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (positions,) = ctx.saved_tensors
        return _GridSample.apply(gradient, positions, ctx.zeros), None, None, None
