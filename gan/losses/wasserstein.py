"""The Wasserstein loss: the critic's mean over generated images against that over real ones."""

from __future__ import annotations

from torch import Tensor, nn

from gan.losses.heads import over_heads


class Wasserstein(nn.Module):
    """Arjovsky, Chintala, Bottou, "Wasserstein GAN", 2017, arXiv:1701.07875, equation 2; with signs to be minimized.

    It estimates a distance only where the critic's slope is bounded: with penalty=gradient (WGAN-GP), r1, or spectral
    normalization. Logits are (N, ...) or one such a head; both methods return a scalar.
    """

    needs_real_logits = False
    requires_head: str | None = None
    signed_logits = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda r: -r, real_logits) + over_heads(lambda f: f, fake_logits)

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda f: -f, fake_logits)
