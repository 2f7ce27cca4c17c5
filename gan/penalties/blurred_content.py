"""Blurred content: a translation keeps the low frequencies of its input, and is free in texture."""

from __future__ import annotations

from torch import Tensor, nn

from gan.contracts import TranslationStep
from gan.networks.resampling import blur


class BlurredContent(nn.Module):
    """weight * E |blur(G(a)) - blur(c(a))|, mean over pixels and channels, in fp32; for translators.

    c is the generator's `content`: the color-mapped image or the tones of its drawing; or the identity if it has none.

    Args:
        sigma: standard deviation of the Gaussian blur in pixels, at least half of the distance between dots or lines.
    """

    network = "generator"

    def __init__(self, weight: float = 5.0, sigma: float = 3.0, interval: int = 1) -> None:
        super().__init__()
        self.weight = weight
        self.sigma = sigma
        self.interval = interval

    def forward(self, step: TranslationStep) -> Tensor:
        content = step.generator.content(step.real_a) if hasattr(step.generator, "content") else step.real_a
        difference = blur(step.fake.float() - content.float(), self.sigma)
        return self.weight * difference.abs().mean()
