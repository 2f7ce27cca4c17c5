"""The residual networks of WGAN-GP and SNGAN.

Gulrajani et al., 2017, arXiv:1704.00028, appendix F; Miyato et al., "Spectral Normalization for Generative Adversarial
Networks", 2018, arXiv:1802.05957, appendix B.4 (tables 3 to 5). A grid of 3 to 8 cells a side takes the place of 4x4.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.common.errors import UserError
from gan.losses.heads import Sliced
from gan.networks.conditional import Projection, batch_norm, through
from gan.networks.features import activations
from gan.networks.grid import base_grid, channels_at
from gan.networks.san import SlicedHead
from gan.networks.spectral import spectrally

MAX_MULTIPLE = 16  # channels stop growing at 16 x width, as in the paper's networks from 64 px on
INSIDE, SHORTCUT = math.sqrt(2), 1.0  # gains of Xavier's initialization within a block and beside it


class Up(nn.Module):
    """BatchNorm, ReLU, twice the size, 3x3, BatchNorm, ReLU, 3x3, beside a 1x1: (N, C, h, w) -> (N, C', 2h, 2w)."""

    def __init__(self, before: int, after: int, classes: int = 0) -> None:
        super().__init__()
        self.norms = nn.ModuleList([batch_norm(before, classes), batch_norm(after, classes)])
        self.first = convolution(before, after, 3, INSIDE)
        self.second = convolution(after, after, 3, INSIDE)
        self.shortcut = convolution(before, after, 1, SHORTCUT)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        y = self.first(double(F.relu(through(self.norms[:1], x, label))))
        y = self.second(F.relu(through(self.norms[1:], y, label)))
        return y + double(self.shortcut(x))  # a 1x1 before doubling gives what one after it does, at a quarter the cost


class Down(nn.Module):
    """ReLU, 3x3, ReLU, 3x3, half the size, beside a 1x1: (N, C, 2h, 2w) -> (N, C', h, w).

    Args:
        first: the block that sees the image begins with no ReLU.
        halve: whether the size changes.
    """

    def __init__(self, before: int, after: int, first: bool = False, halve: bool = True) -> None:
        super().__init__()
        self.begin = nn.Identity() if first else nn.ReLU()
        self.end = nn.AvgPool2d(2) if halve else nn.Identity()
        self.first = convolution(before, after if first else before, 3, INSIDE)
        self.second = convolution(self.first.out_channels, after, 3, INSIDE)
        self.shortcut = convolution(before, after, 1, SHORTCUT) if halve or before != after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(F.relu(self.first(self.begin(x))))
        return self.end(y) + self.shortcut(self.end(x))  # the mean of a 1x1 is the 1x1 of the mean


class Generator(nn.Module):
    """Latent (N, latent) -> image (N, C, H, W) in [-1, 1].

    Args:
        width: channels at the full size; up to 16 times as many below.
        classes: each with its own scales and shifts after BatchNorm; 0 takes no labels.
    """

    def __init__(
        self, size: tuple[int, int], channels: int = 3, width: int = 64, latent_dim: int = 128, classes: int = 0
    ) -> None:
        super().__init__()
        rows, columns, doublings = base_grid((size[0], size[1]))
        widths = channels_at(width, MAX_MULTIPLE * width, doublings + 1)
        self.latent_dim = latent_dim
        self.classes = classes
        self.grid = (widths[0], rows, columns)
        self.stem = nn.Linear(latent_dim, widths[0] * rows * columns)
        initialize(self.stem, SHORTCUT)
        self.blocks = nn.ModuleList(Up(before, after, classes) for before, after in pairwise(widths))
        self.norm = nn.BatchNorm2d(widths[-1])
        self.to_image = convolution(widths[-1], channels, 3, SHORTCUT)

    @property
    def synthesis_layers(self) -> list[nn.Module]:
        """The layers from the smallest grid to the image."""
        return [*self.blocks, self.to_image]

    def latent_weights(self) -> list[Tensor]:
        """Weights (outputs, latent) by which z comes in."""
        return [self.stem.weight]

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        x = self.stem(z).unflatten(1, self.grid)  # (N, latent) -> (N, width_0, rows, columns)
        for block in self.blocks:
            x = block(x, label)  # (N, width_i, 2h, 2w)
        return torch.tanh(self.to_image(F.relu(self.norm(x))))  # (N, C, H, W)


class Discriminator(nn.Module):
    """Image (N, C, H, W) -> logits (N,), no sigmoid.

    Args:
        width: channels at half of the full size; up to 16 times as many below.
        norm: "spectral" is SNGAN's; "none" WGAN-GP's, for gradient penalties.
        classes: whose fit adds to the logit (`Projection`); 0 takes no labels.
        san: `SlicedHead` in place of the last layer.
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: int = 3,
        width: int = 64,
        norm: str = "spectral",
        classes: int = 0,
        san: bool = False,
    ) -> None:
        super().__init__()
        if norm not in ("spectral", "none"):
            raise UserError(f"model.discriminator.norm={norm}: spectral or none")
        doublings = base_grid((size[0], size[1]))[2]
        widths = [channels, *reversed(channels_at(width, MAX_MULTIPLE * width, doublings + 1))]
        self.blocks = nn.ModuleList(
            Down(before, after, first=place == 0, halve=place < doublings)
            for place, (before, after) in enumerate(pairwise(widths))
        )
        self.sliced = san
        self.to_logit = SlicedHead(widths[-1], classes) if san else nn.Linear(widths[-1], 1)
        if isinstance(self.to_logit, nn.Linear):
            initialize(self.to_logit, SHORTCUT)
        self.projection = Projection(widths[-1], classes) if classes and not san else None
        if self.projection:
            initialize(self.projection.embedding, SHORTCUT)
        if norm == "spectral":
            spectrally(self)

    def features(self, x: Tensor) -> list[Tensor]:
        """Activations after each block, from (N, width, H/2, W/2) to (N, width_n, rows, columns)."""
        return activations(x, self.blocks)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor | Sliced:
        y = F.relu(self.features(x)[-1]).sum((2, 3))  # (N, width_n, rows, columns) -> (N, width_n)
        if self.sliced:
            return self.to_logit(y, label)
        logit = self.to_logit(y).flatten()  # (N,)
        return logit if self.projection is None else logit + self.projection(y, label)


def double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def convolution(before: int, after: int, kernel: int, gain: float) -> nn.Conv2d:
    layer = nn.Conv2d(before, after, kernel, padding=kernel // 2)
    initialize(layer, gain)
    return layer


def initialize(layer: nn.Conv2d | nn.Linear, gain: float) -> None:
    """Xavier's uniform distribution, biases 0."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
