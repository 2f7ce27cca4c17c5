"""Identity mapping: an image of the target domain must stay unchanged."""

from __future__ import annotations

from torch import Tensor, nn

from gan.contracts import TranslationStep


class IdentityMapping(nn.Module):
    """weight * E |G(b) - b|, mean over pixels and channels, in fp32; for translators.

    Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017,
    arXiv:1703.10593, section 5.2. There the weight is half the weight of the cycle consistency.
    """

    network = "generator"

    def __init__(self, weight: float = 5.0, interval: int = 1) -> None:
        super().__init__()
        self.weight = weight
        self.interval = interval

    def forward(self, step: TranslationStep) -> Tensor:
        translated: Tensor = step.generator(step.real)
        return self.weight * (translated.float() - step.real.float()).abs().mean()
