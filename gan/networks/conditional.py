"""Class conditioning: conditional batch normalization for generators, projection for discriminators."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class ConditionalBatchNorm2d(nn.Module):
    """BatchNorm2d with a scale and a shift per class: (N, C, h, w) and labels (N,) -> (N, C, h, w).

    Dumoulin et al., "A Learned Representation for Artistic Style", 2017, arXiv:1610.07629, equation 5. The statistics
    are over all classes.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Parameter(torch.ones(classes, channels))
        self.shift = nn.Parameter(torch.zeros(classes, channels))

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        scale, shift = self.scale[label][:, :, None, None], self.shift[label][:, :, None, None]
        return self.norm(x) * scale.to(x.dtype) + shift.to(x.dtype)


def batch_norm(channels: int, classes: int) -> nn.Module:
    """Return BatchNorm2d, or ConditionalBatchNorm2d if there are classes."""
    return ConditionalBatchNorm2d(channels, classes) if classes else nn.BatchNorm2d(channels)


def apply_layers(layers: Any, x: Tensor, label: Tensor | None) -> Tensor:
    """Apply a Sequential or ModuleList to x; conditional layers also get the label."""
    for layer in layers:
        x = layer(x, label) if isinstance(layer, ConditionalBatchNorm2d) else layer(x)
    return x


class Layers(nn.Sequential):
    """A Sequential whose conditional layers also get the label."""

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return apply_layers(self, x, label)


class Projection(nn.Module):
    """Inner product (N,) of pooled features (N, C) with the embedding of the class.

    Miyato, Koyama, "cGANs with Projection Discriminator", 2018, arXiv:1802.05637, equation 4.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(classes, channels, bias=False)  # of one-hot labels; Linear for spectral_norm

    def forward(self, features: Tensor, label: Tensor) -> Tensor:
        return (self.embedding.weight.T[label].to(features.dtype) * features).sum(1)
