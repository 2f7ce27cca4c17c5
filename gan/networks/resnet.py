"""The residual networks of WGAN-GP and SNGAN.

Gulrajani et al., 2017, arXiv:1704.00028, appendix F; Miyato et al., "Spectral Normalization for Generative Adversarial
Networks", 2018, arXiv:1802.05957, appendix B.4 (tables 3 to 5). A grid of 3 to 8 cells per side replaces 4x4.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.grid import base_grid, channels_at
from gan.networks.layers import Projection, activations, apply_layers, apply_spectral_norm, batch_norm
from gan.utils.errors import UserError, at_least, choice

RESIDUAL, SHORTCUT = math.sqrt(2), 1.0  # gains of the Xavier initialization in the residual branch and in the shortcut


class Up(nn.Module):
    """BatchNorm, ReLU, upsample, 3x3, BatchNorm, ReLU, 3x3, plus a 1x1 shortcut: (N, C, h, w) -> (N, C', 2h, 2w)."""

    def __init__(self, before: int, after: int, classes: int = 0) -> None:
        super().__init__()
        self.norms = nn.ModuleList([batch_norm(before, classes), batch_norm(after, classes)])
        self.first = convolution(before, after, 3, RESIDUAL)
        self.second = convolution(after, after, 3, RESIDUAL)
        self.shortcut = convolution(before, after, 1, SHORTCUT)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        y = self.first(upsample(F.relu(apply_layers(self.norms[:1], x, label))))
        y = self.second(F.relu(apply_layers(self.norms[1:], y, label)))
        return y + upsample(self.shortcut(x))  # 1x1 before upsampling gives the same result at a quarter of the cost


class Down(nn.Module):
    """ReLU, 3x3, ReLU, 3x3, downsample, plus a 1x1 shortcut: (N, C, 2h, 2w) -> (N, C', h, w).

    Args:
        first: whether this is the first block, which has no ReLU at the start.
        halve: whether to downsample.
    """

    def __init__(self, before: int, after: int, first: bool = False, halve: bool = True) -> None:
        super().__init__()
        self.begin = nn.Identity() if first else nn.ReLU()
        self.end = nn.AvgPool2d(2) if halve else nn.Identity()
        self.first = convolution(before, after if first else before, 3, RESIDUAL)
        self.second = convolution(self.first.out_channels, after, 3, RESIDUAL)
        self.shortcut = convolution(before, after, 1, SHORTCUT) if halve or before != after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(F.relu(self.first(self.begin(x))))
        return self.end(y) + self.shortcut(self.end(x))  # 1x1 and mean commute


class Generator(nn.Module):
    """Latents (N, latent_dim) -> images (N, C, H, W) in [-1, 1]."""

    def __init__(
        self,
        size: tuple[int, int],
        channels: int = 3,
        width: int = 64,
        latent_dim: int = 128,
        max_multiple: int = 16,
        classes: int = 0,
    ) -> None:
        super().__init__()
        rows, columns, doublings = base_grid((size[0], size[1]))
        at_least("model.generator.max_multiple", max_multiple, 1)
        widths = channels_at(width, max_multiple * width, doublings + 1)
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
        return [*self.blocks, self.to_image]

    def latent_weights(self) -> list[Tensor]:
        return [self.stem.weight]

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        x = self.stem(z).unflatten(1, self.grid)  # (N, latent_dim) -> (N, width_0, rows, columns)
        for block in self.blocks:
            x = block(x, label)  # (N, width_i, 2h, 2w)
        return torch.tanh(self.to_image(F.relu(self.norm(x))))  # (N, C, H, W)


class Discriminator(nn.Module):
    """Images (N, C, H, W) -> logits (N,), without sigmoid.

    Args:
        halvings: number of times that the size is halved; 2 in the paper's network for CIFAR-10. None halves it down to
            the smallest grid.
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: int = 3,
        width: int = 64,
        max_multiple: int = 16,
        halvings: int | None = None,
        norm: str = "spectral",
        classes: int = 0,
    ) -> None:
        super().__init__()
        choice("model.discriminator.norm", norm, ("spectral", "none"))
        doublings = base_grid((size[0], size[1]))[2]
        at_least("model.discriminator.max_multiple", max_multiple, 1)
        widths = [channels, *reversed(channels_at(width, max_multiple * width, doublings + 1))]
        halvings = doublings if halvings is None else at_least("model.discriminator.halvings", halvings, 1)
        if halvings > doublings:
            most = f"{size[0]}x{size[1]} pixels can be halved {doublings} times"
            raise UserError(f"model.discriminator.halvings={halvings}: {most}")
        self.blocks = nn.ModuleList(
            Down(before, after, first=index == 0, halve=index < halvings)
            for index, (before, after) in enumerate(pairwise(widths))
        )
        self.to_logit = nn.Linear(widths[-1], 1)
        initialize(self.to_logit, SHORTCUT)
        self.projection = Projection(widths[-1], classes) if classes else None
        if self.projection:
            initialize(self.projection.embedding, SHORTCUT)
        if norm == "spectral":
            apply_spectral_norm(self)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the activations after each block, from (N, width, H/2, W/2) to (N, width_n, rows, columns)."""
        return activations(x, self.blocks)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        y = F.relu(self.features(x)[-1]).sum((2, 3))  # (N, width_n, rows, columns) -> (N, width_n)
        logit: Tensor = self.to_logit(y).flatten()  # (N,)
        return logit if self.projection is None else logit + self.projection(y, label)


def upsample(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


def convolution(before: int, after: int, kernel: int, gain: float) -> nn.Conv2d:
    layer = nn.Conv2d(before, after, kernel, padding=kernel // 2)
    initialize(layer, gain)
    return layer


def initialize(layer: nn.Conv2d | nn.Linear, gain: float) -> None:
    """Initialize weights from the Xavier uniform distribution, biases to 0."""
    nn.init.xavier_uniform_(layer.weight, gain)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
