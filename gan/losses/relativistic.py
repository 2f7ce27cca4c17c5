"""The relativistic pairing loss: compares each real image with one generated image."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import softplus

from gan.losses.heads import over_heads


class Relativistic(nn.Module):
    """Relativistic pairing loss of R3GAN (Huang et al., 2024, arXiv:2501.05441, equation 2), with softplus.

    Introduced by Jolicoeur-Martineau, "The relativistic discriminator", 2018, arXiv:1807.00734. The n-th real image is
    paired with the n-th generated image. Only differences of logits matter.
    """

    needs_real_logits = True
    signed_logits = False  # the sign of a single logit has no meaning

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda r, f: softplus(f - r), real_logits, fake_logits)

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        assert real_logits is not None  # because of `needs_real_logits`
        return over_heads(lambda r, f: softplus(r - f), real_logits, fake_logits)
