"""The discriminator of Projected GAN: a frozen ImageNet backbone, and a small discriminator at each of four scales.

Sauer, Chitta, Müller, Geiger, "Projected GANs Converge Faster", 2021, arXiv:2111.01007, section 3 and appendix. Fixed
random convolutions mix the channels of EfficientNet-Lite0's features (CCM) and neighboring scales (CSM); only the
discriminators are trained. Below 224 pixels they have fewer layers than in the paper, but at least one: with linear
discriminators, or GroupNorm instead of BatchNorm, the generator collapsed to one image within 3,000 images.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.common.errors import UserError
from gan.networks.lite0 import pretrained
from gan.networks.spectral import spectral_norm

TAPS = (2, 4, 10, 15)  # the last block of Lite0 at each resolution
CHANNELS = (24, 40, 112, 320)  # channels of the outputs of these blocks
STRIDES = (4, 8, 16, 32)
MAX_CHANNELS = 256  # maximum number of channels in a head
CHECK = 8  # side of a square of the checkerboard behind transparent images, in pixels


class Discriminator(nn.Module):
    """Images (N, C, H, W) -> four tensors of logits (N, 1, h, w), from the finest scale to the coarsest.

    Gray images are converted to RGB. Premultiplied RGBA is placed on a checkerboard, which makes transparency visible.

    Args:
        width: channels of the projected features.
        backbone_resolution: length of the shorter side to which images are resized for the backbone, a multiple of 32;
            224 in the paper.

    Raises:
        UserError: backbone_resolution is not a multiple of 32, or the package with Lite0's weights is not installed.
    """

    def __init__(
        self, size: tuple[int, int], channels: int = 3, width: int = 64, backbone_resolution: int = 224
    ) -> None:
        super().__init__()
        if backbone_resolution < 32 or backbone_resolution % 32:
            raise UserError(
                f"model.discriminator.backbone_resolution={backbone_resolution}: must be a multiple of 32, such as 224"
            )
        rows, columns = (max(32, 32 * round(backbone_resolution * length / min(size) / 32)) for length in size)
        self.resized = (rows, columns)
        self.frozen = pretrained()
        self.across_channels = nn.ModuleList(nn.Conv2d(before, width, 1, bias=False) for before in CHANNELS)
        self.across_scales = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in CHANNELS)
        for layer in (*self.across_channels, *self.across_scales):
            nn.init.kaiming_normal_(layer.weight)
            layer.requires_grad_(False)
        self.heads = nn.ModuleList(head(width, min(rows, columns) // stride) for stride in STRIDES)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the projections of the backbone's features (N, width, h, w), from the finest scale to the coarsest."""
        x = F.interpolate(opaque(x), size=self.resized, mode="bilinear", align_corners=False, antialias=True)
        found = self.frozen.features((x + 1) * 127.5)
        mixed = [mix(found[tap]) for mix, tap in zip(self.across_channels, TAPS, strict=True)]
        projections: list[Tensor] = []
        for scale in reversed(range(len(mixed))):  # from the coarsest scale: add each scale to the next finer one
            y = mixed[scale]
            if projections:
                y = y + F.interpolate(projections[-1], size=y.shape[2:], mode="bilinear", align_corners=False)
            projections.append(self.across_scales[scale](y))
        return projections[::-1]

    def forward(self, x: Tensor, label: Tensor | None = None) -> tuple[Tensor, ...]:
        return tuple(head(y) for head, y in zip(self.heads, self.features(x), strict=True))


def opaque(x: Tensor) -> Tensor:
    """Convert gray, RGB or premultiplied RGBA in [-1, 1] to RGB; RGBA is placed on a checkerboard."""
    if x.shape[1] != 4:
        return x.expand(-1, 3, -1, -1)
    rows, columns = (torch.arange(side, device=x.device) // CHECK for side in x.shape[2:])
    square = ((rows[:, None] + columns) % 2).to(x.dtype)  # (H, W), 0 or 1
    ground = 0.3 + 0.4 * square  # in [0, 1]
    return x[:, :3] + 2 * ground * (1 - (x[:, 3:] + 1) / 2)


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
