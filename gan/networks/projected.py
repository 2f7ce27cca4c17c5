"""A discriminator that looks at images through a frozen ImageNet network, at four scales.

Sauer, Chitta, Müller, Geiger, "Projected GANs Converge Faster", 2021, arXiv:2111.01007, section 3 and appendix: fixed
random convolutions mix the channels of EfficientNet-Lite0's features, and those of neighboring scales; a small
discriminator a scale learns on top. Here the heads have fewer layers where the frozen network sees less than 224
pixels, but one at least: with heads that were linear in the features, or GroupNorm in place of BatchNorm, all samples
became alike within 3,000 images.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from gan.common.errors import UserError
from gan.networks.lite0 import pretrained

TAPS = (2, 4, 10, 15)  # blocks of Lite0 that are the last at their size
CHANNELS = (24, 40, 112, 320)  # of what they give
STRIDES = (4, 8, 16, 32)
MOST = 256  # channels of a head
CHECK = 8  # pixels a side of the squares under transparent images


class Discriminator(nn.Module):
    """Image (N, C, H, W) -> four tensors of logits (N, 1, h, w), from the finest scale to the coarsest.

    Gray is seen as RGB; premultiplied RGBA on a chequered ground, on which nothing else looks like transparent.

    Args:
        width: channels of the projected features.
        side: what the shorter side is enlarged or reduced to for the frozen network, a multiple of 32; published: 224.

    Raises:
        UserError: side is not a multiple of 32; the package with Lite0's weights is not there.
    """

    def __init__(self, size: tuple[int, int], channels: int = 3, width: int = 64, side: int = 224) -> None:
        super().__init__()
        if side < 32 or side % 32:
            raise UserError(f"model.discriminator.side={side}: a multiple of 32")
        rows, columns = (max(32, 32 * round(side * length / min(size) / 32)) for length in size)
        self.seen = (rows, columns)
        self.frozen = pretrained()
        self.across_channels = nn.ModuleList(nn.Conv2d(before, width, 1, bias=False) for before in CHANNELS)
        self.across_scales = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in CHANNELS)
        for layer in (*self.across_channels, *self.across_scales):
            nn.init.kaiming_normal_(layer.weight)
            layer.requires_grad_(False)
        self.heads = nn.ModuleList(head(width, min(rows, columns) // stride) for stride in STRIDES)

    def features(self, x: Tensor) -> list[Tensor]:
        """Projections of the frozen network's features (N, width, h, w), from the finest scale to the coarsest."""
        x = F.interpolate(opaque(x), size=self.seen, mode="bilinear", align_corners=False, antialias=True)
        found = self.frozen.features((x + 1) * 127.5)
        mixed = [mix(found[tap]) for mix, tap in zip(self.across_channels, TAPS, strict=True)]
        projections: list[Tensor] = []
        for scale in reversed(range(len(mixed))):  # from the coarsest down, each told of those before
            y = mixed[scale]
            if projections:
                y = y + F.interpolate(projections[-1], size=y.shape[2:], mode="bilinear", align_corners=False)
            projections.append(self.across_scales[scale](y))
        return projections[::-1]

    def forward(self, x: Tensor, label: Tensor | None = None) -> tuple[Tensor, ...]:
        return tuple(head(y) for head, y in zip(self.heads, self.features(x), strict=True))


def opaque(x: Tensor) -> Tensor:
    """Gray, RGB or premultiplied RGBA in [-1, 1] -> RGB."""
    if x.shape[1] != 4:
        return x.expand(-1, 3, -1, -1)
    rows, columns = (torch.arange(side, device=x.device) // CHECK for side in x.shape[2:])
    light = ((rows[:, None] + columns) % 2).to(x.dtype)  # (H, W), 0 or 1
    ground = 0.3 + 0.4 * light  # in [0, 1]
    return x[:, :3] + 2 * ground * (1 - (x[:, 3:] + 1) / 2)


def head(width: int, side: int) -> nn.Sequential:
    """Features of a scale (N, width, side, side) -> logits: halved to 8x8, or filtered once, then a 4x4 convolution."""
    layers: list[nn.Module] = []
    while side > 8 or not layers:
        kernel, stride = (4, 2) if side > 8 else (3, 1)
        after = min(2 * width, MOST)
        convolution = nn.Conv2d(width, after, kernel, stride, 1, bias=False)
        layers += [spectral_norm(convolution), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        width, side = after, side // stride
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(width, 1, min(4, side), bias=False)))
