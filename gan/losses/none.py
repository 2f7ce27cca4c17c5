"""No game: what penalties say is all that is learned, such as `reconstruction` alone, to compare with."""

from __future__ import annotations

from torch import Tensor, nn

from gan.losses.heads import over_heads


class NoAdversarialLoss(nn.Module):
    """0, whatever the logits (N, ...) or one such a head; both methods return a scalar, of which gradients are 0."""

    needs_real_logits = False
    requires_head: str | None = None
    signed_logits = True

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda r: 0 * r, real_logits) + over_heads(lambda f: 0 * f, fake_logits)

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda f: 0 * f, fake_logits)
