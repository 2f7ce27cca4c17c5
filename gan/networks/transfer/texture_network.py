"""A small residual network that adds texture to an image, from noise and from carriers."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.tile_position import TilePosition, noise_at
from gan.networks.transfer.carriers import carrier_planes

SLOPE = 0.2


class TextureNetwork(nn.Module):
    """Images (N, 3, h, w) in [-1, 1] -> what is added to them, initially 0.

    Besides the image it sees its source, a plane of white noise, and a cosine and a sine plane per carrier. In training
    mode, noise and phases are random. In eval mode, they are functions of the pixel's place in the image, so that tiles
    and the frames of a video agree.

    Args:
        carriers: largest number of carriers.
        width: channels of the hidden layers.
        layers: number of 3x3 convolutions.

    Attributes:
        receptive_radius: number of pixels around a tile on which its output depends.
    """

    frequencies: Tensor

    def __init__(self, carriers: int = 12, width: int = 24, layers: int = 3) -> None:
        super().__init__()
        widths = [3 + 3 + 1 + 2 * carriers, *[width] * layers]
        self.convolutions = nn.ModuleList(nn.Conv2d(before, after, 3) for before, after in pairwise(widths))
        self.to_image = nn.Conv2d(width, 3, 1)
        for parameter in self.to_image.parameters():
            nn.init.zeros_(parameter)
        self.receptive_radius = layers
        # Down and across in cycles per pixel; a frequency of 0 is an unused carrier.
        self.register_buffer("frequencies", torch.zeros(carriers, 2))

    @torch.no_grad()
    def set_carriers(self, frequencies: Tensor) -> None:
        """Set the frequencies (K, 2); K is at most the number of carriers."""
        self.frequencies.zero_()
        self.frequencies[: len(frequencies)] = frequencies

    def planes(self, n: int, position: TilePosition, height: int, width: int) -> Tensor:
        """Return white noise and carriers (n, 1 + 2K, height, width) at a position; in eval mode n is 1."""
        if self.training:
            noise = torch.randn(n, 1, height, width, device=self.frequencies.device)
            phase = torch.rand(n, len(self.frequencies), device=noise.device)
        else:
            noise = noise_at(position, height, width)[None, None].to(self.frequencies.device)
            phase = self.frequencies.new_zeros(1, len(self.frequencies))
        carriers = carrier_planes(self.frequencies, position.top, position.left, height, width, phase)
        used = (self.frequencies != 0).any(1).repeat(2)[:, None, None]
        return torch.cat([noise, carriers * used], 1)

    def forward(self, x: Tensor, source: Tensor, position: TilePosition) -> Tensor:
        """Return what is added to the image x, a translation of `source`; both are (N, 3, h, w)."""
        n, _, height, width = x.shape
        margin = self.receptive_radius
        outer = position._replace(top=position.top - margin, left=position.left - margin)
        planes = self.planes(n, outer, height + 2 * margin, width + 2 * margin)
        images = F.pad(torch.cat([x, source], 1), (margin,) * 4, mode="replicate")
        y = torch.cat([images, planes.to(images).expand(n, -1, -1, -1)], 1)
        for convolution in self.convolutions:
            y = F.leaky_relu(convolution(y), SLOPE)
        added: Tensor = self.to_image(y)
        return added
