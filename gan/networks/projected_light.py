"""A light discriminator on frozen ImageNet features for a CPU, after Projected GAN.

Sauer, Chitta, Müller, Geiger, "Projected GANs Converge Faster", 2021, arXiv:2111.01007. The published
discriminator is in `gan.networks.projected`. Fixed random convolutions mix the channels of EfficientNet-Lite0's
features and neighboring scales; only the heads are trained. All scales have the same width and keep their size. Below
224 pixels the heads have fewer layers than in the paper, but at least one. With linear heads, or with GroupNorm instead
of BatchNorm, the generator collapsed to one image within 3,000 images.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.layers import spectral_norm
from gan.networks.projected import CHANNELS, STRIDES, Backbone

MAX_CHANNELS = 256  # maximum number of channels in a head


class Discriminator(nn.Module):
    """Images (N, C, H, W) -> four tensors of logits (N, 1, h, w), from the finest scale to the coarsest."""

    def __init__(
        self, size: tuple[int, int], channels: int = 3, width: int = 64, backbone_resolution: int = 224
    ) -> None:
        super().__init__()
        self.backbone = Backbone(size, backbone_resolution)
        self.across_channels = nn.ModuleList(nn.Conv2d(before, width, 1, bias=False) for before in CHANNELS)
        self.across_scales = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in CHANNELS)
        for layer in (*self.across_channels, *self.across_scales):
            nn.init.kaiming_normal_(layer.weight)
            layer.requires_grad_(False)
        self.heads = nn.ModuleList(head(width, min(self.backbone.resized) // stride) for stride in STRIDES)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the projections of the backbone's features (N, width, h, w), from the finest scale to the coarsest."""
        mixed = [mix(y) for mix, y in zip(self.across_channels, self.backbone(x), strict=True)]
        projections: list[Tensor] = []
        for scale in reversed(range(len(mixed))):  # from the coarsest scale: add each scale to the next finer one
            y = mixed[scale]
            if projections:
                y = y + F.interpolate(projections[-1], size=y.shape[2:], mode="bilinear", align_corners=False)
            projections.append(self.across_scales[scale](y))
        return projections[::-1]

    def forward(self, x: Tensor, label: Tensor | None = None) -> tuple[Tensor, ...]:
        return tuple(head(y) for head, y in zip(self.heads, self.features(x), strict=True))


def head(width: int, side: int) -> nn.Sequential:
    """Return the discriminator of a scale: downsampling to 8x8 or one 3x3 convolution, then a 4x4 convolution."""
    layers: list[nn.Module] = []
    while side > 8 or not layers:
        kernel, stride = (4, 2) if side > 8 else (3, 1)
        after = min(2 * width, MAX_CHANNELS)
        convolution = nn.Conv2d(width, after, kernel, stride, 1, bias=False)
        layers += [spectral_norm(convolution), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
        width, side = after, side // stride
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(width, 1, min(4, side), bias=False)))
