"""Affine warps of images, free of aliasing and differentiable twice."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# Lowpass filter of the orthogonal wavelet sym6 (Daubechies, "Ten Lectures on Wavelets", 1992, table 8.1).
SYM6 = (
    0.015404109327027373,
    0.0034907120842174702,
    -0.11799011114819057,
    -0.048311742585633,
    0.4910559419267466,
    0.787641141030194,
    0.3379294217276218,
    -0.07263752278646252,
    -0.021060292512300564,
    0.04472490177066578,
    0.0017677118642428036,
    -0.007800708325034148,
)
REACH = len(SYM6) // 2 - 1  # samples beyond an edge that the way down needs
DELAY = sum(tap * weight for tap, weight in enumerate(SYM6)) / sum(SYM6) - REACH  # samples from pixel i to 2 i
KEPT = 3  # pixels beyond an edge that the way up gives


def warp(x: Tensor, source: Tensor) -> Tensor:
    """Each pixel of the result from where `source` sends it, on a grid of twice the size in between.

    Going up and down again changes nothing, since shifts of the filter by two samples are orthogonal (Karras et al.,
    2020, arXiv:2006.06676, appendix B). A picture goes on by reflection; one of four channels is transparent outside.

    Args:
        x: (N, C, H, W) in [-1, 1].
        source: (N, 2, 3), from a pixel (x, y, 1) of the result to one of `x`, both seen from the image's center.
    """
    height, width = x.shape[2:]
    transparent = x.shape[1] == 4
    up = (_up(side, transparent, x.device).to(x) for side in (height, width))
    large = _both_ways(x + 1 if transparent else x, *up)  # (N, C, 2H + 12, 2W + 12)
    places = _places(height, width, source, transparent)
    moved = _Sampled.apply(large, places, transparent)  # (N, C, 2H + 10, 2W + 10)
    result = _both_ways(moved, *(_down(side, x.device).to(x) for side in (height, width)))  # (N, C, H, W)
    return result - 1 if transparent else result


def _both_ways(x: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Filter the columns of (N, C, H, W) by the matrix (H', H) and the rows by (W', W) -> (N, C, H', W')."""
    return rows @ x @ columns.T


@functools.lru_cache(maxsize=16)
def _up(side: int, zeros: bool, device: torch.device) -> Tensor:
    """Matrix (2 side + 4 KEPT, side): twice as many samples, pixel i at 2 i + DELAY, and some beyond the edges.

    A matrix, since a convolution of one channel is slower by an order of magnitude.
    """
    matrix = torch.zeros(2 * side + 4 * KEPT, side)
    for pixel in range(-2 * KEPT, side + 2 * KEPT):
        inside = pixel % (2 * side)
        inside = min(inside, 2 * side - 1 - inside)  # mirrored at the edges
        for tap, weight in enumerate(SYM6):
            row = 2 * pixel + tap - REACH + 2 * KEPT
            if 0 <= row < len(matrix) and not (zeros and inside != pixel):
                matrix[row, inside] += 2**0.5 * weight
    return matrix.to(device)  # kept there, since the device is waited for at each copy


@functools.lru_cache(maxsize=16)
def _down(side: int, device: torch.device) -> Tensor:
    """Matrix (side, 2 side + 2 REACH) that undoes `_up`, whose transpose it is."""
    matrix = torch.zeros(side, 2 * side + 2 * REACH)
    for pixel in range(side):
        matrix[pixel, 2 * pixel : 2 * pixel + len(SYM6)] = 0.5**0.5 * torch.tensor(SYM6)
    return matrix.to(device)


def _places(height: int, width: int, source: Tensor, transparent: bool) -> Tensor:
    """Where each sample of the warped large picture comes from: (N, 2H + 2 REACH, 2W + 2 REACH, 2) as x, y in units in
    which the edges of the large picture are -1 and 1."""
    rows, columns = (
        (torch.arange(-REACH, 2 * side + REACH, device=source.device) - DELAY - side + 1).to(source) / 2
        for side in (height, width)
    )  # in pixels from the center
    across, down = (source[:, axis, :, None, None] for axis in (0, 1))  # (N, 3, 1, 1)
    x = across[:, 0] * columns + across[:, 1] * rows[:, None] + across[:, 2]
    y = down[:, 0] * columns + down[:, 1] * rows[:, None] + down[:, 2]
    if not transparent:
        x, y = _folded(x, width), _folded(y, height)
    shift = DELAY / 2 - 0.25  # of the large picture's center from the image's
    return torch.stack([(x + shift) / (width / 2 + KEPT), (y + shift) / (height / 2 + KEPT)], -1)


def _folded(place: Tensor, side: int) -> Tensor:
    """Places in pixels from the center; those beyond what the way up gives are mirrored at the picture's edges, as
    often as it takes."""
    around = (place + side / 2).remainder(2 * side)
    mirrored = torch.minimum(around, 2 * side - around) - side / 2
    return torch.where(place.abs() <= side / 2 + KEPT, place, mirrored)


class _Sampled(torch.autograd.Function):
    """Bilinear samples of x at `places`; linear in x, so that its derivative is its transpose, and so on.

    PyTorch's own grid_sample has no second derivative.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, places: Tensor, zeros: bool) -> Tensor:
        ctx.save_for_backward(places)
        ctx.zeros, ctx.shape = zeros, x.shape
        return F.grid_sample(x, places, padding_mode="zeros" if zeros else "reflection", align_corners=False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (places,) = ctx.saved_tensors
        return _Spread.apply(gradient, places, ctx.zeros, ctx.shape), None, None


class _Spread(torch.autograd.Function):
    """The transpose of `_Sampled`."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, places: Tensor, zeros: bool, shape: torch.Size) -> Tensor:
        ctx.save_for_backward(places)
        ctx.zeros = zeros
        x = y.new_empty(1).expand(shape)  # only its shape is asked for
        bilinear, padding = 0, 0 if zeros else 2
        return torch.ops.aten.grid_sampler_2d_backward(y, x, places, bilinear, padding, False, [True, False])[0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (places,) = ctx.saved_tensors
        return _Sampled.apply(gradient, places, ctx.zeros), None, None, None
