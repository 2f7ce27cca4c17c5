"""A network that adds detail to enlarged images. Its convolutions are at the small size.

Lim et al., "Enhanced Deep Residual Networks for Single Image Super-Resolution", 2017, arXiv:1707.02921 (blocks without
BatchNorm); Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
Neural Network", 2016, arXiv:1609.05158, equation 4 (sub-pixel layers).
"""

from __future__ import annotations

import math

from torch import Tensor, nn

from gan.networks.translator_layers import SLOPE
from gan.utils.errors import UserError

FACTORS = (2, 4)
SHARE = 2  # the network has 1 / SHARE of its channels at the full size


class Residual(nn.Module):
    """3x3, leaky ReLU, 3x3, added to the input: (N, C, h, w) -> the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Generator(nn.Module):
    """Images (N, C, H, W), enlarged by Lanczos, -> images of the same size with detail, nominally in [-1, 1].

    Initially it returns its input. Height and width must be multiples of `factor`.

    Args:
        factor: by which the images were enlarged, 2 or 4. The layers are at 1 / factor of the size.
        width: channels of the residual blocks.
        n_blocks: residual blocks.

    Attributes:
        enlargement: the factor by which an image is enlarged before it is given to the network.
        receptive_radius: number of pixels around a tile on which its output depends.
        bytes_per_pixel: estimate of the memory of a forward pass.
    """

    def __init__(self, channels: int = 3, factor: int = 4, width: int = 48, n_blocks: int = 6) -> None:
        super().__init__()
        if factor not in FACTORS:
            raise UserError(f"model.generator.factor={factor}: use 2 or 4")
        self.enlargement = self.multiple = factor
        doublings = int(math.log2(factor))
        self.head = nn.Sequential(nn.PixelUnshuffle(factor), nn.Conv2d(channels * factor**2, width, 3, padding=1))
        self.blocks = nn.ModuleList(Residual(width) for _ in range(n_blocks))
        self.up = nn.ModuleList()
        for number in range(doublings):
            before, after = width if number == 0 else width // SHARE, width // SHARE
            self.up.append(
                nn.Sequential(nn.Conv2d(before, 4 * after, 3, padding=1), nn.PixelShuffle(2), nn.LeakyReLU(SLOPE))
            )
        self.to_image = nn.Conv2d(width // SHARE, channels, 3, padding=1)
        nn.init.zeros_(self.to_image.weight)
        nn.init.zeros_(self.to_image.bias)  # type: ignore[arg-type]
        # At 1 / factor: one pixel per convolution of the head, the blocks and the first doubling.
        self.receptive_radius = factor * (2 + 2 * n_blocks) + factor + 1
        self.bytes_per_pixel = 24 * width

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        y = self.head(x)  # (N, width, H / factor, W / factor)
        for layer in (*self.blocks, *self.up):
            y = layer(y)  # at last (N, width / SHARE, H, W)
        return x + self.to_image(y)  # (N, C, H, W)
