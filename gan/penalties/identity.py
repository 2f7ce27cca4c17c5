"""Identity: a picture that is of the target already is to stay as it is."""

from __future__ import annotations

from torch import Tensor, nn

from gan.common.errors import UserError
from gan.contracts import Step


class Identity(nn.Module):
    """weight * E |G(b) - b|, the mean over pixels and channels, in fp32: for translators.

    Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017,
    arXiv:1703.10593, section 5.2, where the weight is half of the cycle's.

    Args:
        weight: of the term.
        every: batches from one evaluation to the next; the module multiplies the term by it.
    """

    network = "generator"

    def __init__(self, weight: float = 5.0, interval: int = 1) -> None:
        super().__init__()
        self.weight = weight
        self.interval = interval

    def forward(self, step: Step) -> Tensor:
        """Raises UserError where the generator draws pictures from noise."""
        if hasattr(step.generator, "latent_dim"):
            raise UserError("penalty=identity: is for translators, and this model draws from noise")
        same: Tensor = step.generator(step.real)
        return self.weight * (same.float() - step.real.float()).abs().mean()
