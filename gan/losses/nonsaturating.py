"""The non-saturating loss: cross-entropy on logits; the generator maximizes log D(G(z))."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import softplus

from gan.losses.heads import over_heads


class Nonsaturating(nn.Module):
    """Non-saturating loss of Goodfellow et al., "Generative Adversarial Nets", 2014, arXiv:1406.2661.

    Equation 1, and the end of section 3. With logits x, -log sigmoid(x) = softplus(-x) and -log(1 - sigmoid(x)) =
    softplus(x), which do not overflow.
    """

    needs_real_logits = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda r: softplus(-r), real_logits) + over_heads(softplus, fake_logits)

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda f: softplus(-f), fake_logits)
