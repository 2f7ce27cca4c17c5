"""The hinge loss with random margins."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import relu

from gan.losses.heads import over_heads
from gan.losses.hinge import Hinge
from gan.utils.errors import fraction


class SoftHinge(Hinge):
    """Hinge loss whose margin is random for each logit, as in the official code of FastGAN (arXiv:2101.04775).

    E relu(m - D(x)) + E relu(m + D(G(z))) with m from U(1 - noise, 1). In equation 2 of the paper, the margin is 1.

    Args:
        noise: largest difference between a margin and 1, in 0..1.
    """

    def __init__(self, noise: float = 0.2) -> None:
        super().__init__()
        self.noise = fraction("loss.noise", noise)

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        real_term = over_heads(lambda r: relu(self.margins(r) - r), real_logits)
        return real_term + over_heads(lambda f: relu(self.margins(f) + f), fake_logits)

    def margins(self, logits: Tensor) -> Tensor:
        return 1 - self.noise * torch.rand_like(logits)
