"""The loss for discriminators with a SAN head."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from gan.losses.heads import SANLogits
from gan.losses.hinge import Hinge
from gan.losses.nonsaturating import Nonsaturating
from gan.losses.wasserstein import Wasserstein
from gan.utils.errors import UserError


class SAN(nn.Module):
    """Train the features with another loss, and the direction of the last layer with the Wasserstein loss.

    Takida et al., "SAN: Inducing Metrizability of GAN with Discriminative Normalized Linear Layer", 2023,
    arXiv:2301.12811, equation 11.

    Args:
        loss: hinge, nonsaturating or wasserstein. The paper derives SAN for these.
    """

    needs_real_logits = False
    requires_head = "san"

    def __init__(self, loss: Any) -> None:
        super().__init__()
        if not isinstance(loss, Hinge | Nonsaturating | Wasserstein):
            raise UserError(
                f"loss=san: SAN is not derived for {type(loss).__name__}; set loss.loss._target_ to "
                "gan.losses.hinge.Hinge, gan.losses.nonsaturating.Nonsaturating or gan.losses.wasserstein.Wasserstein"
            )
        self.loss = loss
        self.wasserstein = Wasserstein()

    def discriminator(self, real_logits: SANLogits, fake_logits: SANLogits) -> Tensor:
        feature_term: Tensor = self.loss.discriminator(real_logits.function, fake_logits.function)
        return feature_term + self.wasserstein.discriminator(real_logits.direction, fake_logits.direction)

    def generator(self, real_logits: SANLogits | None, fake_logits: SANLogits) -> Tensor:
        loss: Tensor = self.loss.generator(None, fake_logits.function)
        return loss
