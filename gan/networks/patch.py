"""PatchGAN: a discriminator that returns a map of logits, one per patch of the image.

Isola, Zhu, Zhou, Efros, "Image-to-Image Translation with Conditional Adversarial Networks", 2017, arXiv:1611.07004,
section 6.1.2: C64-C128-C256-C512 with 4x4 filters has a receptive field of 70x70 pixels.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise

from torch import Tensor, nn

from gan.networks.layers import activations, apply_spectral_norm
from gan.networks.translator_layers import initialize, normalize

MAX_MULTIPLE = 8  # channels stop growing at 8 x width


class Discriminator(nn.Module):
    """Images (N, C, H, W), optionally concatenated with their condition -> logits (N, h, w), without sigmoid.

    Args:
        n_layers: number of convolutions with stride 2. The receptive field is 70x70 pixels with 3, 34x34 with 2, and
            16x16 with 1.
        norm: "instance" (CycleGAN), "batch" (pix2pix), "spectral" or "none". Gradient penalties need "spectral" or
            "none".
        condition_channels: channels of the condition, which is the image to translate in pix2pix.
    """

    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        n_layers: int = 3,
        norm: str = "instance",
        condition_channels: int = 0,
        init: str = "normal",
    ) -> None:
        super().__init__()
        widths = [min(2**layer, MAX_MULTIPLE) * width for layer in range(n_layers + 1)]
        strides = [2] * (n_layers - 1) + [1]
        self.from_image = nn.Sequential(
            nn.Conv2d(channels + condition_channels, width, 4, 2, 1), nn.LeakyReLU(0.2, True)
        )
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 4, stride, 1, bias=norm != "batch"),
                normalize("none" if norm == "spectral" else norm, after),
                nn.LeakyReLU(0.2, True),
            )
            for (before, after), stride in zip(pairwise(widths), strides, strict=True)
        )
        self.to_logit = nn.Conv2d(widths[-1], 1, 4, 1, 1)
        self.min_size = 3 * 2**n_layers  # smallest height and width of an image
        self.apply(partial(initialize, init=init))
        if norm == "spectral":
            apply_spectral_norm(self)

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the activations after each LeakyReLU."""
        return activations(x, [self.from_image, *self.blocks])

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return self.to_logit(self.features(x)[-1])[:, 0]  # (N, 1, h, w) -> (N, h, w)
