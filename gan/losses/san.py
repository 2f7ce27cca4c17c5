"""A loss for discriminators with SAN's head."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from gan.common.errors import UserError
from gan.losses.heads import Sliced
from gan.losses.hinge import Hinge
from gan.losses.nonsaturating import Nonsaturating
from gan.losses.wasserstein import Wasserstein


class SAN(nn.Module):
    """Another loss for the features, the Wasserstein loss for the direction of the last layer.

    Takida et al., "SAN: Inducing Metrizability of GAN with Discriminative Normalized Linear Layer", 2023,
    arXiv:2301.12811, equation 11.

    Args:
        loss: hinge, nonsaturating or wasserstein, for which it is derived.

    Raises:
        UserError: another loss.
    """

    needs_real_logits = False
    requires_head: str | None = "san"
    signed_logits = True

    def __init__(self, loss: Any) -> None:
        super().__init__()
        if not isinstance(loss, Hinge | Nonsaturating | Wasserstein):
            raise UserError(
                f"loss=san: not derived for {type(loss).__name__}, but for Hinge, Nonsaturating and Wasserstein: what "
                "features learn must rise with the logit of each image alone"
            )
        self.loss = loss
        self.wasserstein = Wasserstein()

    def discriminator(self, real_logits: Sliced, fake_logits: Sliced) -> Tensor:
        features: Tensor = self.loss.discriminator(real_logits.function, fake_logits.function)
        return features + self.wasserstein.discriminator(real_logits.direction, fake_logits.direction)

    def generator(self, real_logits: Sliced | None, fake_logits: Sliced) -> Tensor:
        loss: Tensor = self.loss.generator(None, fake_logits.function)
        return loss
