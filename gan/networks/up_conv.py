"""Convolutions that double the size of an image.

Upsampling and a following convolution are linear, so both together are one transposed convolution of stride 2. Its
kernel is the convolution's own kernel, convolved with the filter of the upsampling. The result is the same, in less
time: at stride 2, each output pixel uses only a quarter of the kernel.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.common.errors import UserError

FILTERS = {"nearest": (1.0, 1.0), "bilinear": (0.25, 0.75, 0.75, 0.25)}  # of upsampling by 2, after zero insertion


def up_conv(before: int, after: int, kind: str) -> nn.Module:
    """Return a layer (N, before, h, w) -> (N, after, 2h, 2w) without bias.

    Args:
        kind: "transposed" for a transposed convolution of 4x4 (DCGAN), or how `FilteredUpConv` upsamples.

    Raises:
        UserError: the kind is unknown.
    """
    if kind == "transposed":
        return nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False)
    if not isinstance(kind, str) or kind not in FILTERS:
        raise UserError(f"model.generator.upsampling={kind}: unknown; use transposed, nearest or bilinear")
    return FilteredUpConv(before, after, kind)


class FilteredUpConv(nn.Module):
    """Upsample by 2, then convolve with 3x3: (N, before, h, w) -> (N, after, 2h, 2w), padded with zeros.

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
