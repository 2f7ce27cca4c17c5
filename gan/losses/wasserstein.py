"""The Wasserstein loss: the critic's mean over generated images minus its mean over real images."""

from __future__ import annotations

from torch import Tensor, nn

from gan.losses.heads import over_heads


class Wasserstein(nn.Module):
    """Wasserstein loss of Arjovsky, Chintala, Bottou, "Wasserstein GAN", 2017, arXiv:1701.07875, equation 2, negated.

    It estimates a distance only if the critic's gradient is bounded: use penalty=gradient_penalty (WGAN-GP), r1, or
    spectral normalization.
    """

    needs_real_logits = False
    signed_logits = False  # only differences of logits have a meaning

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda r: -r, real_logits) + over_heads(lambda f: f, fake_logits)

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda f: -f, fake_logits)
