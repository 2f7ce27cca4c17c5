"""Features of EfficientNet-Lite0: what an image shows, without a download."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan.metrics.pixels import resized
from gan.networks.lite0 import SHA256, pretrained


class Lite0Features(nn.Module):
    """uint8 (N, C, H, W) -> float32 (N, 1280): the last layer before the classifier, averaged over the image.

    Raises:
        UserError: the weights are not there or not the known ones.
    """

    name = "lite0"
    dimension = 1280
    side = 128  # pixels: every image is brought to 128x128
    weights = SHA256
    chunk = 16  # images a pass

    def __init__(self) -> None:
        super().__init__()
        self.network = pretrained().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self._pooled(part) for part in images.split(self.chunk)])

    def _pooled(self, images: Tensor) -> Tensor:
        x = resized(images, self.side).contiguous(memory_format=torch.channels_last)
        return self.network(x).mean((2, 3))
