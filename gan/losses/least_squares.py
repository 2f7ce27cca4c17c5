"""The least-squares loss."""

from __future__ import annotations

from torch import Tensor, nn

from gan.losses.heads import over_heads


class LeastSquares(nn.Module):
    """Least-squares loss of Mao et al., "Least Squares Generative Adversarial Networks", 2017, arXiv:1611.04076, eq. 2.

    The paper proposes two choices: a=0, b=c=1 (equation 9, the default), and a=-1, b=1, c=0 (equation 8, which
    minimizes the Pearson chi^2 divergence). D's targets are a for generated and b for real images, and G's target is c.
    """

    needs_real_logits = False

    def __init__(self, a: float = 0.0, b: float = 1.0, c: float = 1.0) -> None:
        super().__init__()
        self.a, self.b, self.c = a, b, c

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real_term = over_heads(lambda r: (r - self.b) ** 2 / 2, real_logits)
        return real_term + over_heads(lambda f: (f - self.a) ** 2 / 2, fake_logits)

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda f: (f - self.c) ** 2 / 2, fake_logits)
