"""A discriminator of texture: logits of small patches of the image's fine detail."""

from __future__ import annotations

from torch import Tensor, nn

from gan.networks.layers import activations
from gan.networks.resampling import blur

STRIDES = (2, 2, 1)  # of 4x4 convolutions: a receptive field of 22x22 pixels


class Discriminator(nn.Module):
    """Images (N, C, H, W) -> logits (N, h, w) of patches of 22x22 pixels, without sigmoid and without padding.

    It sees x - blur(x), so that it can judge neither color nor layout, in which inputs and targets may differ.
    """

    min_size = 22  # smallest height and width of an image

    def __init__(self, channels: int = 3, width: int = 32, sigma: float = 3.0) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 2 * width]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(widths[n], widths[n + 1], 4, stride), nn.LeakyReLU(0.2))
            for n, stride in enumerate(STRIDES)
        )
        self.to_logit = nn.Conv2d(2 * width, 1, 1)
        self.sigma = sigma

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the activations after each LeakyReLU."""
        return activations(x - blur(x, self.sigma) if self.sigma else x, self.layers)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        logits: Tensor = self.to_logit(self.features(x)[-1])[:, 0]  # (N, 1, h, w) -> (N, h, w)
        return logits
