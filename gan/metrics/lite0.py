"""Features of EfficientNet-Lite0, which need no download."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan.metrics.pixels import resized
from gan.networks.lite0 import SHA256, pretrained


class Lite0Features(nn.Module):
    """uint8 (N, C, H, W) -> float32 (N, 1280): the last layer before the classifier, averaged over the image.

    Raises:
        UserError: the weights are missing or have another hash.
    """

    name = "lite0"
    dimension = 1280
    resize = "bilinear, antialiased, 128x128"
    weights = SHA256

    def __init__(self) -> None:
        super().__init__()
        self.network = pretrained().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor) -> Tensor:
        return self.network(resized(images, 128).contiguous(memory_format=torch.channels_last)).mean((2, 3))
