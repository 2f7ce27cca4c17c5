"""The relativistic pairing loss: how much more real a real image looks than a generated one."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import softplus

from gan.common.errors import UserError
from gan.losses.heads import over_heads


class Relativistic(nn.Module):
    """Jolicoeur-Martineau, "The relativistic discriminator", 2018, arXiv:1807.00734, as paired and with softplus in
    R3GAN (Huang et al., 2024, arXiv:2501.05441, equation 2).

    The nth real image is compared with the nth generated one. Only the difference of logits matters, so D(x) alone says
    nothing of its own. Logits are (N, ...) or one such a head; both methods return a scalar.

    Raises:
        UserError: the generator's update was given no real logits.
    """

    needs_real_logits = True
    requires_head: str | None = None
    signed_logits = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        return over_heads(lambda r, f: softplus(f - r), real_logits, fake_logits)

    def generator(self, real_logits: Tensor | None, fake_logits: Tensor) -> Tensor:
        if real_logits is None:
            raise UserError("loss=relativistic: the generator's update needs the real images' logits too")
        return over_heads(lambda r, f: softplus(r - f), real_logits, fake_logits)
