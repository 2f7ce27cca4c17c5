"""Feature maps of a frozen ImageNet network, for the discriminators of Projected GAN."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.common.errors import UserError, at_least
from gan.networks.lite0 import pretrained

TAPS = (2, 4, 10, 15)  # the last block of Lite0 at each resolution
CHANNELS = (24, 40, 112, 320)  # channels of the outputs of these blocks
STRIDES = (4, 8, 16, 32)  # factors by which these outputs are smaller than the images
MIN_RESOLUTION = 224  # size of Lite0's training images
CHECK = 8  # side of a square of the checkerboard behind transparent images, in pixels


class Backbone(nn.Module):
    """Images (N, C, H, W) -> features of EfficientNet-Lite0 (N, C_i, h, w), at 1/4, 1/8, 1/16 and 1/32 of the size.

    Gray images are converted to RGB. Premultiplied RGBA is placed on a checkerboard, which makes transparency visible.

    Args:
        size: height and width of the images.
        resolution: length to which the shorter side is resized, a multiple of 32; None: that of the images, but at
            least 224.
        normalize: apply Lite0's own normalization. If False, pass values in [-1, 1], as in Projected GAN's code.

    Raises:
        UserError: the resolution is not a multiple of 32, or the package with Lite0's weights is not installed.
    """

    def __init__(self, size: tuple[int, int], resolution: int | None = None, normalize: bool = True) -> None:
        super().__init__()
        name = "model.discriminator.backbone_resolution"
        shorter = max(MIN_RESOLUTION, min(size)) if resolution is None else at_least(name, resolution, 32)
        if resolution is not None and resolution % 32:
            raise UserError(f"{name}={resolution}: must be a multiple of 32, such as 224")
        rows, columns = (max(32, 32 * round(shorter * length / min(size) / 32)) for length in size)
        self.resized = (rows, columns)
        self.antialias = rows < size[0] or columns < size[1]
        self.normalize = normalize
        self.frozen = pretrained()

    def forward(self, x: Tensor) -> list[Tensor]:
        x = opaque(x)
        if x.shape[2:] != self.resized:
            x = F.interpolate(x, self.resized, mode="bilinear", align_corners=False, antialias=self.antialias)
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
