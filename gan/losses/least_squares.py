"""The least-squares loss."""

from __future__ import annotations

from torch import Tensor, nn

from gan.losses.heads import over_heads


class LeastSquares(nn.Module):
    """Mao et al., "Least Squares Generative Adversarial Networks", 2017, arXiv:1611.04076, equation 9 (a=0, b=c=1).

    Logits are (N, ...) or one such a head; both methods return a scalar.
    """

    paired = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda r: (r - 1) ** 2 / 2, real_logits) + over_heads(lambda f: f**2 / 2, fake_logits)

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda f: (f - 1) ** 2 / 2, fake_logits)
