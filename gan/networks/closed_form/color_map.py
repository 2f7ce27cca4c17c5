"""A map of colors: a 3D lookup table, and a correction of each channel by the distance from the center."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.layers import full_precision
from gan.networks.tile_position import TilePosition
from gan.utils.colors import LUMA

MIN_ALPHA = 0.5 / 255  # alpha below which a pixel has no color
NUM_BASES = 3  # 1, r^2, r^4: powers of the squared radius in the correction
TABLE_SIZE = 33  # entries per axis, as most programs use for .cube files
POWERS = 3  # 1, x, x^2: the powers of a level in the correction


def unpremultiply(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the color (N, 3, H, W) in [-1, 1], not premultiplied, and alpha in [0, 1]; gray is repeated."""
    if x.shape[1] != 4:
        return x.expand(-1, 3, -1, -1), x.new_ones(())
    alpha = (x[:, 3:] + 1) / 2
    color = (x[:, :3] + 1) / alpha.clamp(min=MIN_ALPHA) - 1
    return color.clamp(-1, 1), alpha


def premultiply(color: Tensor, alpha: Tensor, channels: int) -> Tensor:
    """Return the image (N, channels, h, w) of color (N, 3, h, w) in [-1, 1] and alpha in [0, 1]; gray is the mean."""
    if channels == 1:
        return color.mean(1, keepdim=True)
    return torch.cat([(color + 1) * alpha - 1, 2 * alpha - 1], 1) if channels == 4 else color


def luminance(x: Tensor) -> Tensor:
    """Return the luminance (N, 1, h, w) of images (N, 3, h, w)."""
    red, green, blue = x.split(1, 1)  # a tensor of weights would have to be copied to the device
    return LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue


def identity_table(size: int) -> Tensor:
    """Return the table (3, size, size, size) that maps each color in [-1, 1] to itself; its axes: blue, green, red."""
    steps = torch.linspace(-1, 1, size)
    blue, green, red = torch.meshgrid(steps, steps, steps, indexing="ij")
    return torch.stack([red, green, blue])


def sampled(luts: Tensor, color: Tensor) -> Tensor:
    """Return the colors (N, 3, h, w) that LUTs (N or 1, 3, P, P, P) have for colors (N, 3, h, w) in [-1, 1]."""
    if torch.compiler.is_exporting():  # other runtimes sample grids of two axes only
        return gathered(luts, color)
    # The color is the position in the LUT; grid_sample expects positions in [-1, 1].
    luts = luts.expand(len(color), -1, -1, -1, -1)
    y = F.grid_sample(luts, color.movedim(1, -1)[:, None], padding_mode="border", align_corners=True)
    return y[:, :, 0]  # (N, 3, 1, h, w) -> (N, 3, h, w)


def gathered(luts: Tensor, color: Tensor) -> Tensor:
    """Return the same as `sampled`: the sum of the eight nearest entries, weighted by their distance on each axis."""
    size = luts.shape[-1]
    position = (color.clamp(-1, 1) + 1) * ((size - 1) / 2)  # (N, 3, h, w), in entries along red, green and blue
    lower = position.floor().clamp(max=size - 2)
    upper_weight = position - lower
    red, green, blue = lower.long().unbind(1)
    first = (
        torch.arange(luts.shape[0], device=luts.device)[:, None, None] * size**3 + (blue * size + green) * size + red
    )
    table = luts.flatten(2).transpose(1, 2).flatten(0, 1)  # (N P^3, 3): a row per entry
    total = torch.zeros_like(color).movedim(1, -1)
    for corner in itertools.product((0, 1), repeat=3):
        weights = (upper_weight[:, n] if up else 1 - upper_weight[:, n] for n, up in enumerate(corner))
        step = corner[0] + size * corner[1] + size**2 * corner[2]
        total = total + table[first + step] * math.prod(weights)[..., None]  # type: ignore[index]
    return total.movedim(-1, 1)


def rows_and_columns(position: TilePosition, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the centers of rows (h, 1) and columns (1, w) of a tile (N, C, h, w) as fractions of the image's sides."""
    height, width = like.shape[2:]
    rows = torch.arange(height, device=like.device, dtype=like.dtype).add(position.top + 0.5) / position.height
    columns = torch.arange(width, device=like.device, dtype=like.dtype).add(position.left + 0.5) / position.width
    return rows[:, None], columns[None]


def squared_radius(rows: Tensor, columns: Tensor) -> Tensor:
    """Return the squared distance from the image's center; 1 in the corners."""
    return 2 * ((rows - 0.5).square() + (columns - 0.5).square())


def bases(r2: Tensor) -> Tensor:
    """Return the powers (NUM_BASES, ...) of squared radii."""
    return torch.stack([r2**power for power in range(NUM_BASES)])


def mean_bases(side: int = 64) -> Tensor:
    """Return the means of the powers over an image, (NUM_BASES,): for patches whose position is unknown."""
    centers = (torch.arange(side) + 0.5) / side
    return bases(squared_radius(centers[:, None], centers[None])).flatten(1).mean(1)


class ReadsBuffers(nn.Module):
    """A module that keeps values of its buffers as attributes, because each pass would wait for the device for them."""

    def read_buffers(self) -> None:
        """Set the attributes from the buffers, after they have changed."""
        raise NotImplementedError

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self.read_buffers()


class ColorMap(ReadsBuffers):
    """Colors (N, 3, h, w) in [-1, 1] -> colors of the same shape, which depend on nothing but color and position.

    Initially the identity; `gan.networks.closed_form.fit` makes others. The correction after the table is, with level y
    of a channel c in [0, 1] and radius r, which is 1 in the corners: y + sum over i, j of position[c, i, j] y^i r^2j.

    Attributes:
        table: (3, P, P, P), colors in [-1, 1]. The last three axes are blue, green and red.
        position: (3, POWERS, NUM_BASES).
        varies: whether the map depends on the position.
        is_identity: whether the map is the identity.
        shows_patches: whether images are patches of files, at unknown positions. The powers of the radius then have
            their means.
    """

    shows_patches = False

    def __init__(self, table: Tensor | None = None, position: Tensor | None = None) -> None:
        super().__init__()
        with torch.device("cpu"):  # on "meta", torch would import its compiler
            self.table = nn.Buffer(identity_table(TABLE_SIZE) if table is None else table)
            self.means = nn.Buffer(mean_bases()[:, None, None], persistent=False)  # (NUM_BASES, 1, 1)
        self.position = nn.Buffer(torch.zeros(3, POWERS, NUM_BASES) if position is None else position)
        self.varies, self.is_identity = False, True
        if table is not None or position is not None:
            self.read_buffers()

    def read_buffers(self) -> None:
        self.varies = bool(self.position.any())
        self.is_identity = not self.varies and torch.equal(self.table, identity_table(TABLE_SIZE).to(self.table))

    def forward_tile(self, x: Tensor, position: TilePosition) -> Tensor:
        """Map the colors of tiles (N, 3, h, w) at a position of the image."""
        with full_precision(x):
            y = sampled(self.table[None], x.float())
            if self.varies:
                powers = self.means if self.shows_patches else bases(squared_radius(*rows_and_columns(position, y)))
                y = 2 * corrected((y + 1) / 2, self.position, powers) - 1
            return y.clamp(-1, 1)

    def mixed(self, weight: float) -> ColorMap:
        """Return the map with a weight, against the identity; a weight of 1 is the map itself."""
        return ColorMap(identity_table(TABLE_SIZE).lerp(self.table, weight), weight * self.position)

    def of_images(self, x: Tensor, position: TilePosition) -> Tensor:
        """Map tiles of images (N, C, h, w) in [-1, 1] at a position; C is 1, 3 or 4 (premultiplied RGBA, alpha stays).

        The identity returns x itself, which may be outside of [-1, 1].
        """
        if self.is_identity:
            return x
        color, alpha = unpremultiply(x)
        return premultiply(self.forward_tile(color, position), alpha, x.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_tile(x, TilePosition.whole(x))


def corrected(levels: Tensor, position: Tensor, radii: Tensor) -> Tensor:
    """Return levels (N, 3, h, w) in [0, 1] after the correction by powers (NUM_BASES, h, w) of the squared radius."""
    factors = torch.einsum("cij,jhw->ichw", position, radii)  # (POWERS, 3, h, w)
    levels = levels.clamp(0, 1)
    total = levels
    for power, factor in enumerate(factors):
        total = total + levels**power * factor
    return total
