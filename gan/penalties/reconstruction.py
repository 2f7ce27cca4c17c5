"""Reconstruction: the L1 distance between a translation and its ground truth; needs pairs."""

from __future__ import annotations

from torch import Tensor, nn

from gan.contracts import TranslationStep


class Reconstruction(nn.Module):
    """weight * E |b - G(a)|, mean over pixels and channels, in fp32.

    Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks", 2017, arXiv:1611.07004,
    equation 3.
    """

    network = "generator"
    needs_pairs = True

    def __init__(self, weight: float = 100.0, interval: int = 1) -> None:
        super().__init__()
        self.weight = weight
        self.interval = interval

    def forward(self, step: TranslationStep) -> Tensor:
        return self.weight * (step.real.float() - step.fake.float()).abs().mean()
