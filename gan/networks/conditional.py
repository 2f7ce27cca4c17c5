"""Classes in a network: conditional normalization in generators, projection in discriminators."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class ClassBatchNorm(nn.Module):
    """BatchNorm2d with a scale and a shift for each class, (N, C, h, w) and (N,) -> (N, C, h, w).

    Dumoulin et al., "A Learned Representation for Artistic Style", 2017, arXiv:1610.07629, equation 5. The statistics
    are those of all classes together.
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
    """BatchNorm2d, with a scale and a shift for each class where there are classes."""
    return ClassBatchNorm(channels, classes) if classes else nn.BatchNorm2d(channels)


def through(layers: Any, x: Tensor, label: Tensor | None) -> Tensor:
    """x through the layers (a Sequential or ModuleList), of which those that know classes are told them."""
    for layer in layers:
        x = layer(x, label) if isinstance(layer, ClassBatchNorm) else layer(x)
    return x


class Projection(nn.Module):
    """How well pooled features (N, C) fit a class: their product with its embedding, (N,).

    Miyato, Koyama, "cGANs with Projection Discriminator", 2018, arXiv:1802.05637, equation 4.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(classes, channels, bias=False)  # of one-hot classes: spectral_norm takes it

    def forward(self, features: Tensor, label: Tensor) -> Tensor:
        return (self.embedding.weight.T[label].to(features.dtype) * features).sum(1)
