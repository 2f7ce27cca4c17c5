"""A small residual network that adds texture to an image, from noise and from carriers."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.tile_position import TilePosition, noise_planes
from gan.networks.transfer.carriers import carrier_planes
from gan.networks.transfer.flow_lines import FlowLines
from gan.networks.transfer.luminance import luminance

SLOPE = 0.2
SETS = 64  # of carriers, for targets whose screens differ
ANGLES = (0.0, 60.0)  # of flow lines; the second crosses the first, as engravers do in shadows


class TextureNetwork(nn.Module):
    """Images (N, 3, h, w) in [-1, 1] -> what is added to them, initially 0.

    Besides the image it sees its source, a plane of white noise, a cosine and a sine plane per carrier, and waves along
    the structure of the image. In training mode, noise and phases are random. In eval mode, they are functions of the
    pixel's place in the image, so that tiles and the frames of a video agree.

    Args:
        carriers: largest number of carriers.
        width: channels of the hidden layers.
        n_layers: number of 3x3 convolutions.

    Attributes:
        receptive_radius: number of pixels around a tile on which its output depends.
    """

    frequencies: Tensor

    def __init__(self, carriers: int = 12, width: int = 24, n_layers: int = 3) -> None:
        super().__init__()
        self.flow_lines = FlowLines(ANGLES)
        widths = [3 + 3 + 1 + 2 * carriers + len(ANGLES), *[width] * n_layers]
        self.convolutions = nn.ModuleList(nn.Conv2d(before, after, 3) for before, after in pairwise(widths))
        self.to_image = nn.Conv2d(width, 3, 1)
        for parameter in self.to_image.parameters():
            nn.init.zeros_(parameter)
        self.n_layers = n_layers
        # Down and across in cycles per pixel; a frequency of 0 is an unused carrier. In training mode, each image gets
        # one of the sets; in eval mode all get the first.
        self.register_buffer("frequencies", torch.zeros(SETS, carriers, 2))

    @property
    def receptive_radius(self) -> int:
        return self.n_layers + self.flow_lines.receptive_radius

    @torch.no_grad()
    def set_carriers(self, sets: Tensor) -> None:
        """Set the sets of frequencies, (S, K, 2); S is at most SETS, and K at most the number of carriers."""
        self.frequencies.zero_()
        self.frequencies[:, : sets.shape[1]] = sets[torch.arange(SETS) % len(sets)]

    def planes(self, n: int, position: TilePosition, height: int, width: int, noise: Tensor | None = None) -> Tensor:
        """Return white noise and carriers (n, 1 + 2K, height, width) at a position; in eval mode n is that of noise.

        Args:
            noise: (N or 1, 1, height, width), in place of random noise or the noise of the position.
        """
        device, (_, count, _) = self.frequencies.device, self.frequencies.shape
        if self.training:
            white = torch.randn(n, 1, height, width, device=device)
            phase = torch.rand(n, count, device=device)
            frequencies = self.frequencies[torch.randint(SETS, (n,), device=device)]
        else:
            white = noise_planes(position, height, width, [0]).to(device) if noise is None else noise
            phase = torch.zeros(1, count, device=device)
            frequencies = self.frequencies[:1]
        used = (frequencies != 0).any(-1).repeat(1, 2)[..., None, None]  # (N, 2K, 1, 1)
        carriers = used * carrier_planes(frequencies, position.top, position.left, height, width, phase)
        return torch.cat([white, carriers.expand(white.shape[0], -1, -1, -1)], 1)

    def forward(self, x: Tensor, source: Tensor, position: TilePosition, noise: Tensor | None = None) -> Tensor:
        """Return what is added to the image x, a translation of `source`; both are (N, 3, h, w).

        Args:
            noise: (N or 1, 1, h + 2 n_layers, w + 2 n_layers), as in `planes`.
        """
        n, _, height, width = x.shape
        margin = self.n_layers
        outer = position._replace(top=position.top - margin, left=position.left - margin)
        planes = self.planes(n, outer, height + 2 * margin, width + 2 * margin, noise)
        images = F.pad(torch.cat([x, source], 1), (margin,) * 4, mode="replicate")
        with torch.no_grad():  # waves depend on the color map, which has no weights
            waves = self.flow_lines(luminance(images[:, :3].detach()), planes[:, :1].to(images))
        y = torch.cat([images, planes.to(images).expand(n, -1, -1, -1), waves], 1)
        for convolution in self.convolutions:
            y = F.leaky_relu(convolution(y), SLOPE)
        added: Tensor = self.to_image(y)
        return added
