"""A small residual network that adds texture to an image, or to a drawing in inks, from noise, carriers and lines."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.closed_form.carriers import carrier_planes
from gan.networks.closed_form.color_map import ReadsBuffers
from gan.networks.closed_form.flow_lines import FlowLines
from gan.networks.closed_form.image_statistics import luminance
from gan.networks.closed_form.inks import INKS, NOISE_REACH, Inks
from gan.networks.tile_position import TilePosition, noise_planes, without_margin

SLOPE = 0.2
BEFORE = 3 + 3 + 1  # planes before the carriers: image, source, noise
SETS = 64  # of carriers; `fit` makes them equal
ANGLES = (0.0, 60.0)  # of flow lines; the second crosses the first, as engravers do in shadows


class TextureNetwork(ReadsBuffers):
    """Images (N, 3, h, w) in [-1, 1] -> images with texture, initially the same, or drawings of them in inks.

    Besides the image or the drawing it sees its source, a plane of white noise, a cosine and a sine plane per carrier,
    and waves along the structure of the source. In training mode, noise and phases are random. In eval mode, phases are
    0, and noise is a function of row, column and index of the image, so that tiles agree.

    Args:
        carriers: largest number of carriers.
        width: channels of the hidden layers.
        n_layers: number of 3x3 convolutions.

    Attributes:
        noise_margin: number of pixels around a tile for which it needs noise.
        receptive_radius: number of pixels around a tile on which its output depends.
        used: number of carriers that are computed; the others have a frequency of 0.
    """

    frequencies: Tensor

    def __init__(self, carriers: int = 12, width: int = 24, n_layers: int = 3) -> None:
        super().__init__()
        self.flow_lines = FlowLines(ANGLES)
        self.inks = Inks()
        widths = [BEFORE + 2 * carriers + len(ANGLES), *[width] * n_layers]
        self.convolutions = nn.ModuleList(nn.Conv2d(before, after, 3) for before, after in pairwise(widths))
        self.to_image = nn.Conv2d(width, INKS, 1)  # an image uses three of them
        for parameter in self.to_image.parameters():
            nn.init.zeros_(parameter)
        self.n_layers, self.noise_margin = n_layers, n_layers + NOISE_REACH
        # Down and across in cycles per pixel; a frequency of 0 is an unused carrier. All sets are equal; saved models
        # have this shape.
        self.register_buffer("frequencies", torch.zeros(SETS, carriers, 2))
        self.used = carriers

    @property
    def receptive_radius(self) -> int:
        drawing = self.inks.receptive_radius(self.flow_lines.cycles) if self.inks.count else 0
        return self.n_layers + self.flow_lines.receptive_radius + drawing

    @torch.no_grad()
    def set_carriers(self, carriers: Tensor) -> None:
        """Set the frequencies (K, 2) of all sets; K is at most the number of carriers."""
        self.frequencies.zero_()
        self.frequencies[:, : len(carriers)] = carriers
        self.read_buffers()

    def read_buffers(self) -> None:
        self.used = int((self.frequencies != 0).any(-1).any(0).sum())

    def white(self, n: int, position: TilePosition, height: int, width: int) -> Tensor:
        """Return white noise for n tiles (n or 1, 1, height + 2 noise_margin, width + 2 noise_margin)."""
        if not self.training:
            return noise_planes(position, height, width, [0], self.noise_margin).to(self.frequencies)
        margins = 2 * self.noise_margin
        return torch.randn(n, 1, height + margins, width + margins, device=self.frequencies.device)

    def carriers(self, n: int, position: TilePosition, height: int, width: int) -> Tensor:
        """Return the K carriers in use for n tiles (n or 1, 2K, height, width)."""
        device, count = self.frequencies.device, self.used
        if self.training:
            phase = torch.rand(n, count, device=device)
            frequencies = self.frequencies[torch.randint(SETS, (n,), device=device), :count]
        else:
            phase = torch.zeros(1, count, device=device)
            frequencies = self.frequencies[:1, :count]
        return carrier_planes(frequencies, position.top, position.left, height, width, phase)

    def weight_in_use(self, weight: Tensor) -> Tensor:
        """Return the weight of the first convolution without the planes of unused carriers, which are 0."""
        count = self.frequencies.shape[1]
        if self.used == count:
            return weight
        before, cosines, sines, waves = weight.split([BEFORE, count, count, len(ANGLES)], 1)
        return torch.cat([before, cosines[:, : self.used], sines[:, : self.used], waves], 1)

    def forward(
        self, x: Tensor, source: Tensor, position: TilePosition, noise: Tensor | None = None, learned: bool = True
    ) -> Tensor:
        """Return the image x with texture, or its drawing in inks. x is the color-mapped source; both (N, 3, h, w).

        Args:
            noise: (N or 1, 1, h + 2 noise_margin, w + 2 noise_margin), in place of random noise or the noise of the
                position.
            learned: whether the network takes part; otherwise the result is x or the drawing.
        """
        n, _, height, width = x.shape
        margin = self.n_layers
        outer = position._replace(top=position.top - margin, left=position.left - margin)
        wide = (self.white(n, position, height, width) if noise is None else noise).to(x)
        white = without_margin(wide, self.noise_margin - margin)  # (N, 1, h + 2 n_layers, w + 2 n_layers)
        carriers = self.carriers(n, outer, *white.shape[2:]).to(x)
        planes = torch.cat([white, carriers.expand(white.shape[0], -1, -1, -1)], 1)
        images = F.pad(torch.cat([x, source], 1), (margin,) * 4, mode="replicate")
        with torch.no_grad():  # waves and drawings have no weights
            lines = self.flow_lines
            waves = lines(luminance(images[:, 3:]), white, outer, self.training)
            logits = self.inks.logits(images[:, :3], waves, white, lines.cycles) if self.inks.count else None
            field = None if logits is None else self.inks.field(wide)
            if logits is not None:
                images = torch.cat([self.inks.mixed(logits, field), images[:, 3:]], 1)
                logits, field = (None if each is None else without_margin(each, margin) for each in (logits, field))
        if not learned:
            return x if logits is None else self.inks.mixed(logits, field)
        y = torch.cat([images, planes.expand(n, -1, -1, -1), math.sqrt(2) * waves], 1)
        first: Any = self.convolutions[0]
        y = F.leaky_relu(F.conv2d(y, self.weight_in_use(first.weight), first.bias), SLOPE)
        for convolution in self.convolutions[1:]:
            y = F.leaky_relu(convolution(y), SLOPE)
        y = self.to_image(y)
        return x + y[:, :3] if logits is None else self.inks.mixed(logits + y[:, : self.inks.count], field)
