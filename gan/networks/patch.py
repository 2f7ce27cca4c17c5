"""The discriminator of patches: a map of logits, each for a part of the picture.

Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2017, arXiv:1611.07004,
section 6.1.2: C64-C128-C256-C512 with 4x4 filters sees 70x70 pixels.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from gan.networks.features import activations
from gan.networks.normalize import initialize, normalize
from gan.networks.spectral import spectrally

MAX_MULTIPLE = 8  # channels stop growing at 8 x width


class Discriminator(nn.Module):
    """Picture (N, C, H, W), or with another beside it -> logits (N, h, w), no sigmoid.

    Args:
        channels: of the picture.
        beside: further channels, of what it sees beside the picture.
        layers: halvings; 3 see 70x70 pixels, 2 see 34x34, 1 sees 16x16.
        norm: "instance" is CycleGAN's, "batch" pix2pix's; "spectral" and "none" allow gradient penalties.
    """

    def __init__(
        self, channels: int = 3, width: int = 64, layers: int = 3, norm: str = "instance", beside: int = 0
    ) -> None:
        super().__init__()
        widths = [min(2**layer, MAX_MULTIPLE) * width for layer in range(layers + 1)]
        strides = [2] * (layers - 1) + [1]
        self.from_image = nn.Sequential(nn.Conv2d(channels + beside, width, 4, 2, 1), nn.LeakyReLU(0.2, True))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 4, stride, 1, bias=norm != "batch"),
                normalize("none" if norm == "spectral" else norm, after),
                nn.LeakyReLU(0.2, True),
            )
            for (before, after), stride in zip(pairwise(widths), strides, strict=True)
        )
        self.to_logit = nn.Conv2d(widths[-1], 1, 4, 1, 1)
        self.least = 3 * 2**layers  # pixels a side that leave something to judge
        self.apply(initialize)
        if norm == "spectral":
            spectrally(self)

    def features(self, x: Tensor) -> list[Tensor]:
        """Activations after each LeakyReLU."""
        return activations(x, [self.from_image, *self.blocks])

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        logits: Tensor = self.to_logit(self.features(x)[-1])[:, 0]  # (N, 1, h, w) -> (N, h, w)
        return logits
