"""The discriminator of Projected GAN: a frozen ImageNet backbone, and a discriminator at each of four scales.

Sauer, Chitta, Müller, Geiger, "Projected GANs Converge Faster", 2021, arXiv:2111.01007, section 3. Fixed random 1x1
convolutions mix the channels of the backbone's features (CCM) and neighboring scales (CSM); only the heads are trained.
The published generator is that of FastGAN, and the published backbone EfficientNet-Lite. Layers and initialization are
those of github.com/autonomousvision/projected_gan.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.layers import spectral_norm
from gan.networks.lite0 import pretrained
from gan.networks.timm_features import TimmFeatures
from gan.utils.errors import UserError

TAPS = (2, 4, 10, 15)  # the last block of Lite0 at each resolution
CHANNELS = (24, 40, 112, 320)  # channels of the outputs of these blocks
STRIDES = (4, 8, 16, 32)  # factors by which these outputs are smaller than the images
MIN_RESOLUTION = 224  # size of Lite0's training images
CHECK = 8  # side of a square of the checkerboard behind transparent images, in pixels
MIXED = (1, 2, 4, 8)  # channels after CCM, from the finest scale to the coarsest, in multiples of the width
PROJECTED = (1, 1, 2, 4)  # channels after CSM, at twice the size, in multiples of the width
HEAD = (*PROJECTED, 8)  # channels of the finest head, from its input to 1/16 of that size; coarser heads start later


class Backbone(nn.Module):
    """Images (N, C, H, W) -> features of a frozen network (N, C_i, h, w), at 1/4, 1/8, 1/16 and 1/32 of its input size.

    Gray images are converted to RGB. Premultiplied RGBA is placed on a checkerboard, which makes transparency visible.

    Args:
        size: height and width of the images.
        resolution: length to which the shorter side is resized, a multiple of 32; None: that of the images, but at
            least that of the network's training images, 224 for Lite0. ViTs round it to a multiple of their patches.
        normalize: apply Lite0's own normalization. If False, pass values in [-1, 1], as in Projected GAN's code.
        network: `TimmFeatures`; None: EfficientNet-Lite0.
    """

    def __init__(
        self, size: tuple[int, int], resolution: int | None = None, normalize: bool = True, network: Any = None
    ) -> None:
        super().__init__()
        least, stride = (network.config["input_size"][-1], network.stride) if network else (MIN_RESOLUTION, 32)
        shorter = max(least, min(size)) if resolution is None else resolution
        if resolution is not None and (resolution < 32 or resolution % 32):
            name = "model.discriminator.backbone_resolution"
            raise UserError(f"{name}={resolution}: must be a multiple of 32, such as 224")
        smallest = stride * math.ceil(32 / stride)
        rows, columns = (max(smallest, stride * round(shorter * length / min(size) / stride)) for length in size)
        self.resized = (rows, columns)
        self.antialias = rows < size[0] or columns < size[1]
        self.normalize = normalize
        self.channels = network.channels if network else CHANNELS
        self.frozen = network.resized(self.resized) if network else pretrained()

    def forward(self, x: Tensor) -> list[Tensor]:
        x = opaque(x)
        if x.shape[2:] != self.resized:
            x = F.interpolate(x, self.resized, mode="bilinear", align_corners=False, antialias=self.antialias)
        if isinstance(self.frozen, TimmFeatures):
            return self.frozen(x)
        found = self.frozen.features((x + 1) * 127.5) if self.normalize else self.frozen.normalized_features(x)
        return [found[tap] for tap in TAPS]


def opaque(x: Tensor) -> Tensor:
    """Convert gray, RGB or premultiplied RGBA in [-1, 1] to RGB."""
    if x.shape[1] != 4:
        return x.expand(-1, 3, -1, -1)
    rows, columns = (torch.arange(side, device=x.device) // CHECK for side in x.shape[2:])
    square = ((rows[:, None] + columns) % 2).to(x.dtype)  # (H, W), 0 or 1
    ground = 0.3 + 0.4 * square  # in [0, 1]
    return x[:, :3] + 2 * ground * (1 - (x[:, 3:] + 1) / 2)


class Discriminator(nn.Module):
    """Images (N, C, H, W) -> four tensors of logits (N, 1, h, w), from the finest scale to the coarsest.

    Each head downsamples its features to 1/32 of the backbone's resolution: 8x8 at 256 pixels.
    `backbone` is "lite0" or a network of timm. For the latter, `load_pretrained` loads `weights`, a safetensors file,
    or those on the Hub if it is None.
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: int = 3,
        width: int = 64,
        backbone_resolution: int | None = None,
        backbone: str = "lite0",
        weights: str | None = None,
    ) -> None:
        super().__init__()
        network = None if backbone == "lite0" else TimmFeatures(backbone, weights)
        if weights and not network:
            raise UserError(f"model.discriminator.weights={weights}: needs model.discriminator.backbone=NAME of timm")
        self.backbone = Backbone(size, backbone_resolution, normalize=False, network=network)
        mixed, projected = ([width * multiple for multiple in multiples] for multiples in (MIXED, PROJECTED))
        self.across_channels = frozen(self.backbone.channels, mixed)
        self.across_scales = frozen(mixed, projected)
        kernel = min(4, min(self.backbone.resized) // 32)
        self.heads = nn.ModuleList(head([width * m for m in HEAD[scale:]], kernel) for scale in range(len(CHANNELS)))

    def load_pretrained(self) -> None:
        """Load the weights of a network of timm. Lite0 has its weights already."""
        if isinstance(self.backbone.frozen, TimmFeatures):
            self.backbone.frozen.load_pretrained()

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the projections of the backbone's features, from the finest scale to the coarsest.

        Shapes: (N, width, H/2, W/2), (N, width, H/4, W/4), (N, 2 width, H/8, W/8), (N, 4 width, H/16, W/16), for the
        backbone's resolution HxW.
        """
        layers = zip(self.backbone(x), self.across_channels, self.across_scales, strict=True)
        projections: list[Tensor] = []
        for y, across_channels, across_scales in reversed(list(layers)):
            y = across_channels(y)  # (N, MIXED[i] * width, h, w)
            if projections:
                y = y + projections[-1]
            # The 1x1 convolution commutes with the interpolation. At the smaller size it takes a quarter of the time.
            y = F.interpolate(across_scales(y), scale_factor=2, mode="bilinear", align_corners=True)
            projections.append(y)  # (N, PROJECTED[i] * width, 2h, 2w)
        return projections[::-1]

    def forward(self, x: Tensor, label: Tensor | None = None) -> tuple[Tensor, ...]:
        return tuple(head(y) for head, y in zip(self.heads, self.features(x), strict=True))


def frozen(before: tuple[int, ...] | list[int], after: list[int]) -> nn.ModuleList:
    """Return one random 1x1 convolution per scale; they are not trained."""
    layers = nn.ModuleList(nn.Conv2d(wide, narrow, 1) for wide, narrow in zip(before, after, strict=True))
    return layers.requires_grad_(False)


def head(widths: list[int], kernel: int) -> nn.Sequential:
    """Return the discriminator of a scale: a halving for each pair of adjacent widths, then a convolution to logits."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [spectral_norm(nn.Conv2d(before, after, 4, 2, 1)), nn.BatchNorm2d(after), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(widths[-1], 1, kernel, bias=False)))
