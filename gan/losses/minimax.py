"""The minimax loss: cross-entropy on logits, and a generator that minimizes log(1 - D(G(z)))."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import softplus

from gan.losses.heads import over_heads
from gan.losses.nonsaturating import Nonsaturating


class Minimax(Nonsaturating):
    """Goodfellow et al., 2014, arXiv:1406.2661, equation 1 for both players.

    Its generator's gradient vanishes where D is sure, so it is here to be compared, not to be trained with.
    """

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda f: -softplus(f), fake_logits)
