"""No adversarial loss: only the penalties train the generator."""

from __future__ import annotations

from torch import Tensor, nn

from gan.losses.heads import over_heads


class NoAdversarialLoss(nn.Module):
    """Loss that is 0 with zero gradients for any logits. Use it for comparisons, for example with `reconstruction`."""

    needs_real_logits = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda r: 0 * r, real_logits) + over_heads(lambda f: 0 * f, fake_logits)

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda f: 0 * f, fake_logits)
