"""Perceptual distance of pairs of images uint8 (N, C, H, W) -> (N,)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from gan.metrics.pixels import resized
from gan.networks.lite0 import pretrained


class PerceptualDistance(nn.Module):
    """Perceptual distance, 0 for equal images: LPIPS with Lite0 instead of VGG, and without channel weights.

    Features at five depths are normalized at each position; squared differences are summed over channels and averaged
    over positions and depths (Zhang et al., 2018, arXiv:1801.03924, equation 1 with w = 1). The values are not
    comparable with LPIPS.
    """

    depths = (0, 2, 4, 10, 15)  # blocks
    side = 128  # images are resized to 128x128 pixels
    chunk = 32  # images per pass

    def __init__(self) -> None:
        super().__init__()
        self.network = pretrained()

    @torch.no_grad()
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        pairs = zip(x.split(self.chunk), y.split(self.chunk), strict=True)
        return torch.cat(
            [self.distance(*(self.normalized_features(resized(each, self.side)) for each in pair)) for pair in pairs]
        )

    def normalized_features(self, colors: Tensor) -> list[Tensor]:
        """Return the normalized features at each depth of RGB in 0..255, float (N, 3, H, W)."""
        found = self.network.features(colors)
        return [normalize(found[depth], dim=1, eps=1e-6) for depth in self.depths]

    @staticmethod
    def distance(x: list[Tensor], y: list[Tensor]) -> Tensor:
        """Return the distance (N,) of two lists of `normalized_features`."""
        return torch.stack([(a - b).square().sum(1).mean((1, 2)) for a, b in zip(x, y, strict=True)]).mean(0)
