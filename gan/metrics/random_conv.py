"""Features of convolutions with fixed random weights. They need no download, but cannot replace FID's features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, relu_

from gan.metrics.pixels import resized


class RandomConv(nn.Module):
    """uint8 (N, C, H, W) -> float32 (N, 896): three random convolutions of the image at 64x64, each pooled to 2x2.

    Random filters measure color, texture and coarse layout, but not content. The names of metrics with these features
    end in `_random_conv`. Do not compare their values with those of other features.
    """

    name = "random_conv"
    dimension = 4 * (32 + 64 + 128)
    resize = "bilinear, antialiased, 64x64"
    weights = ""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(seed)
        shapes = [(32, 3, 5, 5), (64, 32, 3, 3), (128, 64, 3, 3)]
        filters = [
            torch.randn(shape, generator=random) * (2 / (shape[1] * shape[2] * shape[3])) ** 0.5 for shape in shapes
        ]  # He et al., 2015: keeps the scale of activations
        self.filters = nn.ParameterList(
            nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
            for weight in filters
        )

    def forward(self, images: Tensor) -> Tensor:
        x = resized(images, 64) / 127.5 - 1  # (N, 3, 64, 64)
        x = x.contiguous(memory_format=torch.channels_last)
        pooled = []
        for weight in self.filters:
            x = relu_(nn.functional.conv2d(x, weight, stride=2, padding=weight.shape[-1] // 2))  # (N, C, h/2, w/2)
            pooled.append(adaptive_avg_pool2d(x, 2).flatten(1))
        return torch.cat(pooled, 1)
