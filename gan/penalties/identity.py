"""Identity mapping: an image of the target domain must stay unchanged."""

from __future__ import annotations

from torch import Tensor, nn

from gan.common.errors import UserError
from gan.contracts import TranslationStep


class IdentityMapping(nn.Module):
    """weight * E |G(b) - b|, mean over pixels and channels, in fp32; for translators.

    Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017,
    arXiv:1703.10593, section 5.2. There the weight is half the weight of the cycle consistency.

    Args:
        weight: factor of the term.
        interval: compute the term every this many updates; `GAN.penalty_terms` multiplies it by this number.
    """

    network = "generator"

    def __init__(self, weight: float = 5.0, interval: int = 1) -> None:
        super().__init__()
        self.weight = weight
        self.interval = interval

    def forward(self, step: TranslationStep) -> Tensor:
        """Return the term of a step. Raise UserError if the generator is not a translator."""
        if hasattr(step.generator, "latent_dim"):
            raise UserError(
                "penalty=identity: needs a translator, but this model generates images from noise; use model=cyclegan, "
                "cut or lut"
            )
        translated: Tensor = step.generator(step.real_b)
        return self.weight * (translated.float() - step.real_b.float()).abs().mean()
