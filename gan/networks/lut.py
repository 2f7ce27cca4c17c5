"""A translator for styles that are mostly color: a mixture of 3D lookup tables (LUTs) of colors, chosen per image.

Zeng, Cai, Li, Cao, Zhang, "Learning Image-adaptive 3D Lookup Tables for High Performance Photo Enhancement in
Real-time", 2020, arXiv:2009.14468. The LUTs work at any image size and without seams.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.closed_form.color_map import ColorMap, identity_table, premultiply, sampled, unpremultiply
from gan.networks.layers import full_precision
from gan.networks.tile_position import TilePosition


class Generator(nn.Module):
    """Images (N, C, H, W) -> translations of the same size, nominally in [-1, 1]; C is 1, 3 or 4 (premultiplied RGBA).

    The LUTs are applied to the color map `start` of the image. Initially both are the identity.

    Args:
        num_luts: number of LUTs to mix. A network predicts their weights from a thumbnail of the image.
        lut_size: number of entries per axis of a LUT, 33 in the paper. Smaller LUTs need less data.
    """

    thumbnail_size = 64  # side in pixels
    multiple = 1
    receptive_radius = 0  # pixels around a tile on which its output depends, apart from the mixed LUT
    bytes_per_pixel = 200  # estimate of the memory of a forward pass

    def __init__(self, channels: int = 3, num_luts: int = 3, lut_size: int = 33, width: int = 16) -> None:
        super().__init__()
        self.start = ColorMap()
        # Three axes: channels_last does not support five.
        self.grid = nn.Buffer(identity_table(lut_size).flatten(1), persistent=False)  # (3, P^3)
        self.entries = nn.Parameter(torch.cat([self.grid[None], torch.zeros(num_luts - 1, *self.grid.shape)]))
        self.lut_size = lut_size
        widths = [3, width, 2 * width, 4 * width, 4 * width]
        self.reader = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(before, after, 3, 2, 1), nn.LeakyReLU(0.2)) for before, after in pairwise(widths))
        )
        self.to_weights = nn.Linear(widths[-1], num_luts)
        nn.init.ones_(self.to_weights.bias)
        nn.init.zeros_(self.to_weights.weight[0])
        self.channels = channels

    @property
    def luts(self) -> Tensor:
        """Return the LUTs (T, 3, P, P, P) in [-1, 1]. The last three axes are blue, green and red."""
        return self.entries.unflatten(2, (self.lut_size,) * 3)

    def global_context(self, x: Tensor) -> Tensor:
        """Return the mixed LUT (N, 3, P, P, P), which tiles need and which depends on the whole image."""
        color, _ = unpremultiply(x)
        size = (self.thumbnail_size, self.thumbnail_size)
        return self.mix(F.interpolate(color, size, mode="bilinear", antialias=True))

    def thumbnail_context(self, x: Tensor) -> Tensor:
        """Return the same as `global_context` for thumbnails (N, C, s, s) with s = `thumbnail_size`."""
        return self.mix(unpremultiply(x)[0])

    def mix(self, colors: Tensor) -> Tensor:
        """Return the mixed LUT (N, 3, P, P, P) for thumbnails of colors (N, 3, s, s), not premultiplied."""
        weights = self.to_weights(self.reader(colors).mean((2, 3)))  # (N, T)
        with full_precision(colors):  # in half precision, rounding errors are half an 8-bit level
            return torch.einsum("nt,tcbgr->ncbgr", weights.float(), self.luts)

    def forward_tile(self, x: Tensor, position: TilePosition, context: Tensor) -> Tensor:
        """Translate tiles (N, C, h, w) at a position of the image."""
        color, alpha = unpremultiply(x)
        color = self.start.of_images(color, position)
        return premultiply(sampled(context, color.float()), alpha, self.channels)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return self.forward_tile(x, TilePosition.whole(x), self.global_context(x))
