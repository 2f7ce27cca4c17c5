"""A map of colors: a 3D lookup table, and a correction of each channel that varies with the position in the image."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan.networks.alpha import premultiply, unpremultiply
from gan.networks.lookup import gathered, identity_table, sampled
from gan.networks.precision import full_precision
from gan.networks.tile_position import TilePosition
from gan.networks.transfer.position import BASES, NUM_BASES, bases, mean_bases, rows_and_columns

TABLE_SIZE = 33  # entries per axis, as most programs use for .cube files
POWERS = 3  # 1, x, x^2: the powers of a level in the correction


class ColorMap(nn.Module):
    """Colors (N, 3, h, w) in [-1, 1] -> colors of the same shape, which depend on nothing but color and position.

    Initially the identity; `gan.networks.transfer.fit` makes others. The correction after the table is, with level y
    of a channel c in [0, 1] and functions f_j of the position (`gan.networks.transfer.position`),
    y + sum over i, j of position[c, i, j] y^i f_j.

    Attributes:
        table: (3, P, P, P), colors in [-1, 1]. The last three axes are blue, green and red.
        position: (3, POWERS, NUM_BASES).
        varies: the kinds of position on which the map depends, of BASES.
        is_identity: whether the map is the identity.
        shows_windows: whether images are windows of files, at unknown positions. The functions of the position then
            have their means.
    """

    table: Tensor
    position: Tensor
    means: Tensor
    shows_windows = False

    def __init__(self, table: Tensor | None = None, position: Tensor | None = None) -> None:
        super().__init__()
        with torch.device("cpu"):  # on "meta", torch would import its compiler
            self.register_buffer("table", identity_table(TABLE_SIZE) if table is None else table)
            self.register_buffer("means", mean_bases()[:, None, None], persistent=False)  # (NUM_BASES, 1, 1)
        self.register_buffer("position", torch.zeros(3, POWERS, NUM_BASES) if position is None else position)
        self.varies: list[str] = []
        self.is_identity = True
        if table is not None or position is not None:
            self.read_buffers()

    def read_buffers(self) -> None:
        """Set `varies` and `is_identity` from the buffers; to read those in each pass would wait for the device."""
        self.varies = [name for name, own in BASES.items() if bool(self.position[..., own].any())]
        self.is_identity = not self.varies and torch.equal(self.table, identity_table(TABLE_SIZE).to(self.table))

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self.read_buffers()

    def forward_tile(self, x: Tensor, position: TilePosition) -> Tensor:
        """Map the colors of tiles (N, 3, h, w) at a position of the image."""
        table = self.table[None]
        with full_precision(x):
            if torch.compiler.is_exporting():  # other runtimes sample grids of two axes only
                y = gathered(table, x.float())
            else:
                y = sampled(table.expand(len(x), -1, -1, -1, -1), x.float())
            if self.varies:
                functions = self.means if self.shows_windows else bases(*rows_and_columns(position, y))
                y = 2 * corrected((y + 1) / 2, self.position, functions) - 1
            return y.clamp(-1, 1)

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


def corrected(levels: Tensor, position: Tensor, functions: Tensor) -> Tensor:
    """Return levels (N, 3, h, w) in [0, 1] after the correction by functions (NUM_BASES, h, w) of the position."""
    factors = torch.einsum("cij,jhw->ichw", position, functions)  # (POWERS, 3, h, w)
    levels = levels.clamp(0, 1)
    total = levels
    for power, factor in enumerate(factors):
        total = total + levels**power * factor
    return total
