"""The U-Net of pix2pix: an encoder and a decoder with skip connections.

Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2017, arXiv:1611.07004,
section 6.1.1. The paper halves 256 pixels eight times, to one pixel.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.closed_form.color_map import ColorMap
from gan.networks.tile_position import TilePosition
from gan.networks.translator_layers import activation, initialize_translator, normalize, output_image
from gan.utils.errors import at_least

MAX_MULTIPLE = 8  # channels stop growing at 8 x width
DROPPED = 3  # number of decoder stages with dropout, after the innermost stage


class Down(nn.Module):
    """LeakyReLU, 4x4 with stride 2, norm: (N, C, 2h, 2w) -> (N, C', h, w).

    The outermost block has no activation and no norm. The innermost block has no norm.
    """

    def __init__(self, before: int, after: int, norm: str, outermost: bool, innermost: bool) -> None:
        super().__init__()
        self.activation = nn.Identity() if outermost else nn.LeakyReLU(0.2)
        self.convolution = nn.Conv2d(before, after, 4, 2, 1, bias=norm != "batch")
        self.norm = normalize("none" if outermost or innermost else norm, after)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.convolution(self.activation(x)))


class Up(nn.Module):
    """Activation, transposed 4x4 with stride 2, norm, dropout: (N, C, h, w) -> (N, C', 2h, 2w)."""

    def __init__(self, before: int, after: int, norm: str, dropout: float) -> None:
        super().__init__()
        self.activation = activation(norm)
        self.convolution = nn.ConvTranspose2d(before, after, 4, 2, 1, bias=norm != "batch")
        self.norm = normalize(norm, after)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.convolution(self.activation(x)))
        return F.dropout(y, self.dropout, self.training) if self.dropout else y


class Generator(nn.Module):
    """Images (N, C, H, W) -> translations of the same size, nominally in [-1, 1].

    Args:
        depth: number of downsampling steps; height and width must be multiples of 2^depth.
        norm: "batch" (the paper), which uses the statistics of the batch also in eval mode; "instance"; or "none",
            which keeps absolute tone.
    """

    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        depth: int = 8,
        norm: str = "batch",
        dropout: float = 0.5,
        residual: bool = False,
    ) -> None:
        super().__init__()
        at_least("model.generator.depth", depth, 2)
        widths = [min(2**stage, MAX_MULTIPLE) * width for stage in range(depth)]
        self.down = nn.ModuleList(
            Down(before, after, norm, stage == 0, stage == depth - 1)
            for stage, (before, after) in enumerate(pairwise([channels, *widths]))
        )
        outside = widths[-2::-1]  # from the innermost stage to the outermost
        self.up = nn.ModuleList(
            Up(
                before * (1 if stage == 0 else 2),  # with the skip connection
                after,
                norm,
                dropout if 0 < stage <= DROPPED and before == after else 0.0,
            )
            for stage, (before, after) in enumerate(pairwise([widths[-1], *outside]))
        )
        self.activation = activation(norm)
        self.to_image = nn.ConvTranspose2d(2 * width, channels, 4, 2, 1)
        self.start = ColorMap() if residual else None
        self.multiple = 2**depth  # height and width must be multiples of this number
        self.receptive_radius = None  # every output pixel depends on all input pixels
        self.bytes_per_pixel = 24 * width  # estimate of the memory of a forward pass
        initialize_translator(self, self.to_image, norm, residual)

    def forward_tile(self, x: Tensor, position: TilePosition) -> Tensor:
        """Translate images (N, C, H, W), which may be padded and are never cut into tiles, at a position."""
        maps = []
        y = x
        for down in self.down:
            y = down(y)  # (N, width_i, H / 2^i, W / 2^i)
            maps.append(y)
        maps.pop()
        for up in self.up:
            y = torch.cat([maps.pop(), up(y)], 1)
        return output_image(x, self.to_image(self.activation(y)), self.start, position)  # (N, C, H, W)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return self.forward_tile(x, TilePosition.whole(x))
