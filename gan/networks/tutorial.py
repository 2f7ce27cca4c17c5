"""The network of the tutorial from which this project started, corrected and extended to any size.

Generator: a linear layer and 5x5 transposed convolutions with strides 1, 1 and 2. Discriminator: strided 5x5
convolutions with dropout. Leaky ReLUs have a slope of 0.3. With a grid of 7x7 and one doubling, this is the tutorial's
network for 14x14 pixels. More doublings repeat its last stage.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from gan.networks.grid import base_grid, channels_at
from gan.networks.layers import activations

SLOPE = 0.3  # default slope of Keras's leaky ReLU
MAX_MULTIPLE = 4  # factor of the width at the smallest grid


class Generator(nn.Module):
    """Latents (N, latent_dim) -> images (N, C, H, W) in [-1, 1]."""

    classes = 0  # unconditional

    def __init__(self, size: tuple[int, int], channels: int = 3, width: int = 64, latent_dim: int = 100) -> None:
        super().__init__()
        rows, columns, doublings = base_grid((size[0], size[1]))
        self.latent_dim = latent_dim
        self.grid = (MAX_MULTIPLE * width, rows, columns)
        units = MAX_MULTIPLE * width * rows * columns
        self.stem = nn.Sequential(nn.Linear(latent_dim, units, bias=False), nn.BatchNorm1d(units), nn.LeakyReLU(SLOPE))
        self.blocks = nn.ModuleList(
            [
                stage(MAX_MULTIPLE * width, 2 * width, stride=1),
                stage(2 * width, width, stride=1),
                *(stage(width, width, stride=2) for _ in range(doublings - 1)),
            ]
        )
        self.to_image = transposed(width, channels, stride=2)

    @property
    def synthesis_layers(self) -> list[nn.Module]:
        return [*self.blocks, self.to_image]

    def latent_weights(self) -> list[Tensor]:
        weight: Tensor = self.stem[0].weight  # type: ignore[assignment]
        return [weight]

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        x = self.stem(z).unflatten(1, self.grid)  # (N, latent_dim) -> (N, 4 width, rows, columns)
        for block in self.blocks:
            x = block(x)  # (N, width_i, h, w), then (N, width, 2h, 2w)
        return torch.tanh(self.to_image(x))  # (N, C, H, W)


class Discriminator(nn.Module):
    """Images (N, C, H, W) -> logits (N,), without sigmoid."""

    def __init__(self, size: tuple[int, int], channels: int = 3, width: int = 64, dropout: float = 0.3) -> None:
        super().__init__()
        rows, columns, doublings = base_grid((size[0], size[1]))
        widths = [channels, *reversed(channels_at(width, MAX_MULTIPLE * width, doublings))]
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 5, 2, 2), nn.LeakyReLU(SLOPE), nn.Dropout(dropout))
            for before, after in pairwise(widths)
        )
        self.to_logit = nn.Linear(widths[-1] * rows * columns, 1)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the activations after each stage, from (N, width, H/2, W/2) to (N, width_n, rows, columns)."""
        return activations(x, self.blocks)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return self.to_logit(self.features(x)[-1].flatten(1)).flatten()  # (N, width_n rows columns) -> (N,)


def transposed(before: int, after: int, stride: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(before, after, 5, stride, padding=2, output_padding=stride - 1, bias=False)


def stage(before: int, after: int, stride: int) -> nn.Module:
    return nn.Sequential(transposed(before, after, stride), nn.BatchNorm2d(after), nn.LeakyReLU(SLOPE))
