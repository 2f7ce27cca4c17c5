"""The hinge loss."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import relu

from gan.losses.heads import over_heads


class Hinge(nn.Module):
    """Hinge loss of Lim and Ye, "Geometric GAN", 2017, arXiv:1705.02894.

    Also Miyato et al., 2018, arXiv:1802.05957, equations 16 and 17.
    """

    needs_real_logits = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda r: relu(1 - r), real_logits) + over_heads(lambda f: relu(1 + f), fake_logits)

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda f: -f, fake_logits)
