"""The minimax loss: cross-entropy on logits; the generator minimizes log(1 - D(G(z)))."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from gan.losses.heads import over_heads
from gan.losses.nonsaturating import Nonsaturating


class Minimax(Nonsaturating):
    """Minimax loss of Goodfellow et al., 2014, arXiv:1406.2661, equation 1, for both networks.

    The generator's gradient vanishes where D is confident. Use this loss for comparisons only.
    """

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda f: -softplus(f), fake_logits)
